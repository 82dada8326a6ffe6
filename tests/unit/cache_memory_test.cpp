// The cache's memory: who wrote reads, nobody reads what is over, the budget holds, and what is
// asked for often stays.
#include "cache_memory.hpp"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <list>
#include <random>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "support/suite.hpp"

namespace larder::cache {
namespace {

std::atomic<std::int64_t> fake_ms{1000};
std::int64_t fake_clock() { return fake_ms.load(); }

std::shared_ptr<Entry> entry(const std::string& key, std::size_t size = 10,
                             std::vector<std::string> tags = {}) {
    auto made = std::make_shared<Entry>();
    made->key = key;
    made->value = std::string(size, 'v');
    made->type = "text/plain";
    made->tags = std::move(tags);
    made->stored_ms = fake_ms;
    made->fresh_until_ms = fake_ms + 10'000;
    made->stale_until_ms = fake_ms + 20'000;
    return made;
}

void put(Memory& memory, const std::shared_ptr<Entry>& one) { memory.put(hash_of(one->key), one); }

bool has(Memory& memory, const std::string& key) {
    return memory.get(hash_of(key), key) != nullptr;
}

// Sanitizers bring an allocator of their own, of which mallinfo2() knows nothing.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kCountsMemory = false;
#else
constexpr bool kCountsMemory = true;
#endif

// Keys of a Zipf distribution, by inversion over a table.
class Zipf {
public:
    Zipf(std::size_t keys, double exponent) {
        double sum = 0;
        for (std::size_t i = 1; i <= keys; ++i) {
            sum += 1 / std::pow(static_cast<double>(i), exponent);
            below_.push_back(sum);
        }
    }
    std::size_t operator()(std::mt19937_64& random) const {
        const double at = std::uniform_real_distribution<double>(0, below_.back())(random);
        return static_cast<std::size_t>(std::lower_bound(below_.begin(), below_.end(), at) -
                                        below_.begin());
    }

private:
    std::vector<double> below_;
};

class CacheMemoryTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(CacheMemoryTest);
    CPPUNIT_TEST(keeps_and_replaces);
    CPPUNIT_TEST(ends_on_time);
    CPPUNIT_TEST(the_newest_is_read_back);
    CPPUNIT_TEST(stays_within_its_budget);
    CPPUNIT_TEST(invalidates_by_kind);
    CPPUNIT_TEST(refuses_what_was_invalidated_meanwhile);
    CPPUNIT_TEST(sweeps_what_has_expired);
    CPPUNIT_TEST(keeps_what_is_asked_for_often);
    CPPUNIT_TEST(no_fill_outlives_an_invalidation);
    CPPUNIT_TEST(hashes_differ);
    CPPUNIT_TEST_SUITE_END();

public:
    void keeps_and_replaces() {
        Memory memory(8U << 20U, fake_clock);
        put(memory, entry("a", 10));
        put(memory, entry("a", 20));
        const auto found = memory.get(hash_of("a"), "a");
        CPPUNIT_ASSERT(found != nullptr);
        CPPUNIT_ASSERT_EQUAL(std::size_t{20}, found->value.size());
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, memory.facts().entries);
        CPPUNIT_ASSERT(memory.invalidate(hash_of("a"), "a"));
        CPPUNIT_ASSERT(!memory.invalidate(hash_of("a"), "a"));
        CPPUNIT_ASSERT(!has(memory, "a"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{20}, found->value.size());  // held by its reader
    }

    void ends_on_time() {
        Memory memory(8U << 20U, fake_clock);
        put(memory, entry("a"));
        fake_ms += 19'999;
        CPPUNIT_ASSERT(has(memory, "a"));
        fake_ms += 1;
        CPPUNIT_ASSERT(!has(memory, "a"));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, memory.facts().evictions.expired);
    }

    // However worthless it is beside what is there.
    void the_newest_is_read_back() {
        Memory memory(4U << 20U, fake_clock);
        for (int i = 0; i < 20'000; ++i) {
            const std::string key = fmt::format("often{}", i % 100);
            put(memory, entry(key, 30'000));
            CPPUNIT_ASSERT(has(memory, key));
        }
        for (int i = 0; i < 500; ++i) {
            const std::string key = fmt::format("once{}", i);
            put(memory, entry(key, static_cast<std::size_t>(i % 50) * 20'000));
            CPPUNIT_ASSERT_MESSAGE(key, has(memory, key));
        }
    }

    void stays_within_its_budget() {
        for (const std::size_t size : {1U, 100U, 2000U, 200'000U}) {
            ::malloc_trim(0);
            const struct mallinfo2 before = ::mallinfo2();
            constexpr std::size_t kBudget = 16U << 20U;
            Memory memory(kBudget, fake_clock);
            for (std::size_t i = 0; i < (48U << 20U) / (size + 300) + 200; ++i) {
                put(memory, entry(fmt::format("a key of some length {}", i), size, {"tag"}));
            }
            const struct mallinfo2 after = ::mallinfo2();
            const double taken = static_cast<double>(after.uordblks + after.hblkhd) -
                                 static_cast<double>(before.uordblks + before.hblkhd);
            const double share = taken / static_cast<double>(kBudget);
            if (kCountsMemory) {
                CPPUNIT_ASSERT_MESSAGE(fmt::format("{} bytes: {:.3f} of the budget", size, share),
                                       share < 1.05 && share > 0.75);
            }
            CPPUNIT_ASSERT(memory.facts().bytes <= kBudget);
            CPPUNIT_ASSERT(memory.facts().evictions.size + memory.facts().evictions.rejected > 0);
        }
    }

    void invalidates_by_kind() {
        Memory memory(8U << 20U, fake_clock);
        for (const char* key : {"user:1", "user:2", "user:11", "page:1"}) {
            put(memory, entry(key, 5,
                              key[0] == 'u' ? std::vector<std::string>{"users"}
                                            : std::vector<std::string>{"pages", "all"}));
        }
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, memory.invalidate({Match::Kind::pattern, "user:?"}));
        CPPUNIT_ASSERT(has(memory, "user:11"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, memory.invalidate({Match::Kind::tag, "user"}));
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, memory.invalidate({Match::Kind::tag, "users"}));
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, memory.invalidate({Match::Kind::prefix, "page"}));
        for (int i = 0; i < 5000; ++i) put(memory, entry(fmt::format("k{}", i)));
        CPPUNIT_ASSERT_EQUAL(std::size_t{5000}, memory.invalidate({Match::Kind::all, ""}));
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, memory.facts().entries);
    }

    void refuses_what_was_invalidated_meanwhile() {
        Memory memory(8U << 20U, fake_clock);
        const auto fill = [&](std::uint64_t then, std::vector<std::string> tags = {}) {
            return memory.put_if_untouched(hash_of("user:1"), entry("user:1", 3, std::move(tags)),
                                           then);
        };
        std::uint64_t then = memory.ledger().now();
        CPPUNIT_ASSERT(fill(then));
        memory.invalidate(hash_of("user:1"), "user:1");
        CPPUNIT_ASSERT(!fill(then));
        then = memory.ledger().now();
        memory.invalidate({Match::Kind::prefix, "page:"});
        memory.invalidate({Match::Kind::tag, "other"});
        CPPUNIT_ASSERT(fill(then, {"mine"}));
        CPPUNIT_ASSERT(!fill(then, {"mine", "other"}));
        memory.invalidate({Match::Kind::pattern, "us*"});
        CPPUNIT_ASSERT(!fill(then));
        then = memory.ledger().now();
        // What it does not remember any more counts as touched.
        for (int i = 0; i < 1100; ++i) memory.invalidate({Match::Kind::tag, "other"});
        CPPUNIT_ASSERT(!fill(then));
        CPPUNIT_ASSERT(fill(memory.ledger().now()));
    }

    void sweeps_what_has_expired() {
        Memory memory(8U << 20U, fake_clock);
        for (int i = 0; i < 1000; ++i) put(memory, entry(fmt::format("k{}", i)));
        fake_ms += 20'000;
        put(memory, entry("fresh"));
        memory.sweep();
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, memory.facts().entries);
        CPPUNIT_ASSERT(has(memory, "fresh"));
    }

    // Zipf(0.99) over 100,000 keys with room for about 5,000: better than the least recently used
    // first, and near what somebody who knows the frequencies could do.
    void keeps_what_is_asked_for_often() {
        constexpr std::size_t kKeys = 100'000, kAsked = 300'000;
        const Zipf zipf(kKeys, 0.99);
        std::mt19937_64 random(7);
        Memory memory(4U << 20U, fake_clock);
        const std::size_t room = (4U << 20U) * 63 / 64 / cost_of(*entry("key 12345", 400));
        std::list<std::size_t> recent;
        std::unordered_map<std::size_t, std::list<std::size_t>::iterator> in_lru;
        std::size_t hits = 0, lru_hits = 0, bound_hits = 0;
        for (std::size_t i = 0; i < kAsked; ++i) {
            const std::size_t number = zipf(random);
            const std::string key = fmt::format("key {:05}", number);
            if (has(memory, key)) {
                ++hits;
            } else {
                put(memory, entry(key, 400));
            }
            if (const auto found = in_lru.find(number); found != in_lru.end()) {
                ++lru_hits;
                recent.splice(recent.begin(), recent, found->second);
            } else {
                recent.push_front(number);
                in_lru[number] = recent.begin();
                if (recent.size() > room) {
                    in_lru.erase(recent.back());
                    recent.pop_back();
                }
            }
            bound_hits += number < room ? 1 : 0;  // the most frequent are always there
        }
        const auto ratio = [](std::size_t n) { return static_cast<double>(n) / kAsked; };
        const std::string said = fmt::format("room {} hit ratio {:.3f}, LRU {:.3f}, bound {:.3f}",
                                             room, ratio(hits), ratio(lru_hits), ratio(bound_hits));
        CPPUNIT_ASSERT_MESSAGE(said, ratio(hits) > ratio(lru_hits) + 0.02);
        CPPUNIT_ASSERT_MESSAGE(said, ratio(hits) > 0.93 * ratio(bound_hits));
    }

    // Fillers read a source and store what they read; a changer changes the source, then
    // invalidates. Nobody may find an older value than the changer's latest invalidation left.
    void no_fill_outlives_an_invalidation() {
        Memory memory(8U << 20U, fake_clock);
        const std::string key = "k";
        const std::uint64_t hash = hash_of(key);
        std::atomic<int> source{0}, stored{0};
        std::vector<std::jthread> fillers;
        for (int i = 0; i < 3; ++i) {
            fillers.emplace_back([&](const std::stop_token& over) {
                while (!over.stop_requested()) {
                    const std::uint64_t then = memory.ledger().now();
                    auto made = entry(key);
                    made->value = std::to_string(source.load());
                    if (memory.put_if_untouched(hash, made, then)) ++stored;
                }
            });
        }
        for (int round = 1; round <= 3000 || stored < 100; ++round) {
            source = round;
            if (round % 3 == 0) {
                memory.invalidate({Match::Kind::all, ""});
            } else {
                memory.invalidate(hash, key);
            }
            const auto found = memory.get(hash, key);
            CPPUNIT_ASSERT(!found || std::stoi(found->value) >= round);
        }
    }

    void hashes_differ() {
        std::vector<std::uint64_t> hashes;
        for (int i = 0; i < 10'000; ++i) hashes.push_back(hash_of(fmt::format("key:{}", i)));
        for (std::size_t n = 0; n < 40; ++n) hashes.push_back(hash_of(std::string(n, 'a')));
        std::sort(hashes.begin(), hashes.end());
        CPPUNIT_ASSERT(std::adjacent_find(hashes.begin(), hashes.end()) == hashes.end());
    }
};

LARDER_TEST_SUITE(CacheMemoryTest);

}  // namespace
}  // namespace larder::cache
