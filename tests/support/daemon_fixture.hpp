// A test fixture with a larderd of its own on a data directory of its own. For tests that look at
// one daemon from outside; not for those that choose its options.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "support/daemon_process.hpp"
#include "support/raw_client.hpp"
#include "support/suite.hpp"

namespace larder::test {

class DaemonFixture : public CppUnit::TestFixture {
public:
    void setUp() override {
        folder_ = std::make_unique<TemporaryFolder>();
        start();
    }
    void tearDown() override {
        daemon_.reset();
        folder_.reset();
    }

protected:
    void start() {
        DaemonOptions options;
        options.data_directory = folder_->path();
        options.environment = environment_;
        options.wrapper = wrapper_;
        daemon_ = std::make_unique<DaemonProcess>(std::move(options));
    }
    void restart() {
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        start();
    }
    void kill_and_start() {
        daemon_->kill();
        start();
    }
    Answer send(std::string_view method, const std::string& target, std::string_view headers = {},
                std::string_view body = {}) const {
        return request(daemon_->port(), method, target, headers, body);
    }
    // send(), with the answer's status and, of a problem, its code looked at: "404 key-not-found".
    std::string outcome(std::string_view method, const std::string& target,
                        std::string_view headers = {}, std::string_view body = {}) const {
        const Answer answer = send(method, target, headers, body);
        if (answer.status < 400) return std::to_string(answer.status);
        return fmt::format("{} {}", answer.status, answer.member("code"));
    }

    std::vector<std::pair<std::string, std::string>> environment_;
    std::vector<std::string> wrapper_;  // before larderd
    std::unique_ptr<TemporaryFolder> folder_;
    std::unique_ptr<DaemonProcess> daemon_;
};

}  // namespace larder::test
