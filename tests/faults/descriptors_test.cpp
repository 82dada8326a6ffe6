// Too few descriptors: clients beyond what there is are told so, nobody is dropped without a word,
// data can still be written, and all is well when clients have gone. How a bucket fares when one of
// its own calls finds none is disk_error_test.cpp's.
#include <fmt/format.h>
#include <sys/resource.h>

#include <filesystem>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <vector>

#include "support/daemon_process.hpp"
#include "support/raw_client.hpp"
#include "support/scribe.hpp"
#include "support/suite.hpp"

namespace larder::test {
namespace {

constexpr rlim_t kFew = 96;
constexpr int kMany = 150;

class DescriptorsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(DescriptorsTest);
    CPPUNIT_TEST(refuses_clients_beyond_the_limit_and_goes_on_writing);
    CPPUNIT_TEST(answers_a_burst);
    CPPUNIT_TEST(survives_having_none_left);
    CPPUNIT_TEST(takes_the_hard_limit);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        folder_ = std::make_unique<TemporaryFolder>();
        scribe_ = std::make_unique<Scribe>("storage");
    }
    void tearDown() override {
        daemon_.reset();
        folder_.reset();
    }

    void refuses_clients_beyond_the_limit_and_goes_on_writing() {
        start(kFew, kFew);
        CPPUNIT_ASSERT(daemon_->wait_for_log("raise LimitNOFILE"));
        std::vector<std::unique_ptr<RawClient>> clients;
        int refused = 0;
        for (int i = 0; i < kMany; ++i) {
            auto client = std::make_unique<RawClient>(daemon_->port());
            const Answer answer = client->request("GET", "/healthz");
            if (answer.status == 200) {
                clients.push_back(std::move(client));
                continue;
            }
            expect_refusal(answer);
            ++refused;
        }
        CPPUNIT_ASSERT(refused > 0);
        CPPUNIT_ASSERT(clients.size() > 20);
        // A bucket that has no file yet, and a checkpoint, which wants several.
        const std::string big = fmt::format(R"("{}")", std::string(70000, 'x'));
        for (const char* target : {"/api/kv/storage/big", "/api/kv/drill/first"}) {
            CPPUNIT_ASSERT_EQUAL(201, clients.front()->request("PUT", target, {}, big).status);
        }
        CPPUNIT_ASSERT(eventually([&] {
            return std::filesystem::exists(folder_->path() + "/data/storage.json") &&
                   std::filesystem::exists(folder_->path() + "/data/kv/drill.json");
        }));
        clients.clear();
        expect_served_again();
    }

    // All at once, so that many wait to be accepted when there is nothing left to accept them with.
    void answers_a_burst() {
        start(kFew, kFew);
        std::vector<std::unique_ptr<RawClient>> clients;
        clients.reserve(std::size_t{kMany} * 2);
        for (int i = 0; i < kMany * 2; ++i) {
            clients.push_back(std::make_unique<RawClient>(daemon_->port()));
        }
        int served = 0;
        for (const auto& client : clients) {
            client->send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        }
        for (const auto& client : clients) {
            const Answer answer = client->read_answer();
            if (answer.status == 200) {
                ++served;
            } else {
                expect_refusal(answer);
            }
        }
        CPPUNIT_ASSERT(served > 20);
        CPPUNIT_ASSERT(served < kMany * 2);
        clients.clear();
        expect_served_again();
    }

    void survives_having_none_left() {
        start(1024, 1024);
        RawClient before(daemon_->port());
        CPPUNIT_ASSERT_EQUAL(200, before.request("GET", "/healthz").status);
        set_limit(open_files());  // what is open stays so, and what is free below it is soon taken
        std::vector<std::unique_ptr<RawClient>> clients;
        int status = 200;
        while (status == 200) {
            CPPUNIT_ASSERT(clients.size() < 100);
            clients.push_back(std::make_unique<RawClient>(daemon_->port()));
            status = clients.back()->request("GET", "/healthz").status;
        }
        CPPUNIT_ASSERT_EQUAL(503, status);
        for (int i = 0; i < 10; ++i) {
            RawClient client(daemon_->port());
            expect_refusal(client.request("GET", "/healthz"));
        }
        CPPUNIT_ASSERT_EQUAL(201, scribe_->write().status);
        CPPUNIT_ASSERT_EQUAL(200, before.request("GET", "/healthz").status);
        set_limit(1024);
        expect_served_again();
    }

    void takes_the_hard_limit() {
        start(64, 2048);
        rlimit found{};
        CPPUNIT_ASSERT_EQUAL(0, prlimit(daemon_->pid(), RLIMIT_NOFILE, nullptr, &found));
        CPPUNIT_ASSERT_EQUAL(rlim_t{2048}, found.rlim_cur);
        const std::string limits = request(daemon_->port(), "GET", "/api/limits").body;
        CPPUNIT_ASSERT_MESSAGE(limits,
                               limits.find(R"("max_connections":1536)") != std::string::npos);
    }

private:
    void start(rlim_t soft, rlim_t hard) {
        DaemonOptions options;
        options.data_directory = folder_->path() + "/data";
        options.environment = {{"LARDER_KV_CHECKPOINT_SIZE", "64KiB"},
                               {"LARDER_METRICS_ENABLED", "false"}};
        options.wrapper = {"prlimit", fmt::format("--nofile={}:{}", soft, hard)};
        daemon_ = std::make_unique<DaemonProcess>(std::move(options));
        scribe_->use(daemon_->port());
        CPPUNIT_ASSERT_EQUAL(201, scribe_->write().status);
    }

    static void expect_refusal(const Answer& answer) {
        CPPUNIT_ASSERT_EQUAL(503, answer.status);
        CPPUNIT_ASSERT_EQUAL(std::string("too-many-connections"), answer.member("code"));
        CPPUNIT_ASSERT(!answer.header("Retry-After").empty());
    }

    void expect_served_again() {
        CPPUNIT_ASSERT(eventually([&] {
            RawClient client(daemon_->port());
            return client.request("GET", "/healthz").status == 200;
        }));
        CPPUNIT_ASSERT_EQUAL(200, request(daemon_->port(), "GET", "/readyz").status);
        CPPUNIT_ASSERT_EQUAL(201, scribe_->write().status);
        daemon_->kill();
        start(1024, 1024);
        scribe_->verify();
    }

    rlim_t open_files() const {
        const std::filesystem::directory_iterator files(fmt::format("/proc/{}/fd", daemon_->pid()));
        return static_cast<rlim_t>(std::distance(begin(files), end(files)));
    }

    void set_limit(rlim_t soft) const {
        const rlimit limit{soft, 1024};
        CPPUNIT_ASSERT_EQUAL(0, prlimit(daemon_->pid(), RLIMIT_NOFILE, &limit, nullptr));
    }

    std::unique_ptr<TemporaryFolder> folder_;
    std::unique_ptr<DaemonProcess> daemon_;
    std::unique_ptr<Scribe> scribe_;
};

LARDER_TEST_SUITE(DescriptorsTest);

}  // namespace
}  // namespace larder::test
