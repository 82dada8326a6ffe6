// A document store on a disk that can be broken, and what every test does with one. How it is
// opened, and what is heard of it, is each test's own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "storage-kit/document_store.hpp"
#include "support/fault_disk.hpp"
#include "support/suite.hpp"

namespace larder::test {

class StoreFixture : public CppUnit::TestFixture {
public:
    void setUp() override {
        disk_ = std::make_unique<FaultDisk>();
        committer_ = std::make_unique<storage::Committer>("commit");
        clock_ = kStart;
    }
    void tearDown() override {
        store_.reset();
        committer_.reset();
    }

protected:
    static inline const std::string kPath = "data/s.json";
    static constexpr std::int64_t kStart = 1'700'000'000'000;  // Unix milliseconds

    storage::Outcome commit(storage::Change change) {
        return store_->commit_and_wait(std::move(change));
    }
    storage::Outcome set(const std::string& key, const std::string& text,
                         std::int64_t expires_ms = 0, const std::string& metadata = "") {
        return commit([&](storage::Transaction& t) { t.set(key, text, expires_ms, metadata); });
    }
    storage::Outcome remove(const std::string& key) {
        return commit([&](storage::Transaction& t) { t.remove(key); });
    }
    std::string value(const std::string& key) const {
        const storage::DocumentPtr document = store_->get(key);
        return document ? std::string(document->value) : "absent";
    }

    std::unique_ptr<FaultDisk> disk_;
    std::unique_ptr<storage::Committer> committer_;
    std::unique_ptr<storage::DocumentStore> store_;
    std::int64_t clock_ = kStart;
};

}  // namespace larder::test
