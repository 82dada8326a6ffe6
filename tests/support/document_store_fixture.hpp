// A document store that is opened again and again, what it reports at that, and what it holds.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "support/store_fixture.hpp"

namespace larder::test {

class DocumentStoreFixture : public StoreFixture {
public:
    void tearDown() override {
        StoreFixture::tearDown();
        findings_.clear();
        states_.clear();
    }

protected:
    static constexpr std::int64_t kFar = 2 * kStart;

    void open() {
        store_.reset();
        storage::StoreOptions options = options_;
        options.clock_ms = [this] { return ++clock_; };
        options.report = [this](const storage::Finding& finding) { findings_.push_back(finding); };
        options.state_changed = [this](storage::StoreState state, const std::string& why) {
            CPPUNIT_ASSERT_EQUAL(state == storage::StoreState::open, why.empty());
            states_.push_back(state);
        };
        store_ = std::make_unique<storage::DocumentStore>(*disk_, kPath, *committer_, options);
    }
    void restore(const std::string& path, const std::string& content) {
        store_.reset();
        disk_->place(path, content);
        open();
    }
    std::map<std::string, std::string> everything() const {
        std::map<std::string, std::string> all;
        for (const auto& document : store_->list("", "", 1'000'000)) {
            all[std::string(document->key)] = std::string(document->value);
        }
        return all;
    }
    void found(storage::Finding::Kind kind, const std::string& part) const {
        for (const auto& finding : findings_) {
            if (finding.kind == kind && finding.text.find(part) != std::string::npos) return;
        }
        std::string all;
        for (const auto& finding : findings_) all += finding.text + "; ";
        CPPUNIT_FAIL("not found: " + part + " in: " + all);
    }
    // a=1 at revision 1, b=2 at 2, c=3 at 3
    void filled_and_closed() {
        open();
        set("a", "1");
        set("b", "2");
        set("c", "3");
        store_->close();
        findings_.clear();
    }

    storage::StoreOptions options_;
    std::vector<storage::Finding> findings_;
    std::vector<storage::StoreState> states_;
};

}  // namespace larder::test
