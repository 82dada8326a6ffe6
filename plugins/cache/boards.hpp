// Leaderboards and bounded lists: members by score, and the newest so many values. In memory or in
// Redis, with the same results. No HTTP.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <ext/pb_ds/assoc_container.hpp>
#include <ext/pb_ds/tree_policy.hpp>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "redis_link.hpp"

namespace larder::cache {

struct Standing {
    std::string member;
    double score = 0;
    std::uint64_t rank = 0;  // 1 is best; of equal scores the later name, by bytes, as Redis does
};

// A list's values are numbered as they come; no number comes twice under one name.
struct ListValue {
    std::uint64_t number = 0;  // from 1
    std::string value;
};

inline constexpr std::size_t kMostMembers = 100'000, kMostKept = 1000;

// Those of Redis throw RedisAway. [worker, with Redis; any, without]
class Boards {
public:
    // Adds to the score, or sets it. Throws Error{no_space, "board-full"}, Error{conflict,
    // "not-a-number"} for a sum that is not finite.
    virtual Standing score(const std::string& board, const std::string& member, double number,
                           bool add) = 0;
    virtual std::optional<Standing> find(const std::string& board, const std::string& member) = 0;
    // The best, or the best of those behind a place: a member and its score as they were then.
    virtual std::vector<Standing> top(const std::string& board, std::size_t count,
                                      const std::optional<Standing>& after = std::nullopt) = 0;
    virtual bool remove(const std::string& board) = 0;

    // Returns how long the list is now. Throws Error{no_space, "list-full"}.
    virtual std::size_t push(const std::string& list, const std::string& value,
                             std::size_t keep) = 0;
    // The newest first; only of those with a lower number, unless `below` is 0.
    virtual std::vector<ListValue> newest(const std::string& list, std::size_t count,
                                          std::uint64_t below = 0) = 0;
    virtual bool remove_list(const std::string& list) = 0;

protected:
    ~Boards() = default;
};

class MemoryBoards final : public Boards {
public:
    explicit MemoryBoards(std::size_t most_bytes) : most_bytes_(most_bytes) {}

    Standing score(const std::string& board, const std::string& member, double number,
                   bool add) override;
    std::optional<Standing> find(const std::string& board, const std::string& member) override;
    std::vector<Standing> top(const std::string& board, std::size_t count,
                              const std::optional<Standing>& after = std::nullopt) override;
    bool remove(const std::string& board) override;
    std::size_t push(const std::string& list, const std::string& value, std::size_t keep) override;
    std::vector<ListValue> newest(const std::string& list, std::size_t count,
                                  std::uint64_t below = 0) override;
    bool remove_list(const std::string& list) override;

private:
    // The best last; counts how many stand before a place.
    using Order =
        __gnu_pbds::tree<std::pair<double, std::string>, __gnu_pbds::null_type, std::less<>,
                         __gnu_pbds::rb_tree_tag, __gnu_pbds::tree_order_statistics_node_update>;
    struct Board {
        std::unordered_map<std::string, double> scores;
        Order order;
        std::size_t bytes = 0;
    };
    struct List {
        std::deque<std::string> values;  // the newest first
        std::uint64_t pushed = 0;        // the number of the newest
        std::size_t bytes = 0;
    };
    static Standing standing(const Board& board, const std::string& member, double score);

    const std::size_t most_bytes_;
    std::mutex mutex_;  // guards all below
    std::map<std::string, Board> boards_;
    std::map<std::string, List> lists_;
    std::uint64_t pushes_ = 0;  // to all lists ever: where the numbers of a new one begin
    std::size_t bytes_ = 0;
};

class RedisBoards final : public Boards {
public:
    explicit RedisBoards(RedisLink& link) : link_(link) {}

    Standing score(const std::string& board, const std::string& member, double number,
                   bool add) override;
    std::optional<Standing> find(const std::string& board, const std::string& member) override;
    std::vector<Standing> top(const std::string& board, std::size_t count,
                              const std::optional<Standing>& after = std::nullopt) override;
    bool remove(const std::string& board) override;
    std::size_t push(const std::string& list, const std::string& value, std::size_t keep) override;
    std::vector<ListValue> newest(const std::string& list, std::size_t count,
                                  std::uint64_t below = 0) override;
    bool remove_list(const std::string& list) override;

private:
    RedisLink& link_;
};

// Redis while it is there, memory else; what is counted in memory meanwhile is not added to Redis'.
class SharedBoards final : public Boards {
    template <class Ask> auto either(Ask ask) {
        try {
            return ask(redis_);
        } catch (const RedisAway&) {
            return ask(memory_);
        }
    }

public:
    SharedBoards(RedisLink& link, MemoryBoards& memory) : redis_(link), memory_(memory) {}

    Standing score(const std::string& board, const std::string& member, double number,
                   bool add) override {
        return either([&](Boards& boards) { return boards.score(board, member, number, add); });
    }
    std::optional<Standing> find(const std::string& board, const std::string& member) override {
        return either([&](Boards& boards) { return boards.find(board, member); });
    }
    std::vector<Standing> top(const std::string& board, std::size_t count,
                              const std::optional<Standing>& after) override {
        return either([&](Boards& boards) { return boards.top(board, count, after); });
    }
    bool remove(const std::string& board) override {
        return either([&](Boards& boards) { return boards.remove(board); });
    }
    std::size_t push(const std::string& list, const std::string& value, std::size_t keep) override {
        return either([&](Boards& boards) { return boards.push(list, value, keep); });
    }
    std::vector<ListValue> newest(const std::string& list, std::size_t count,
                                  std::uint64_t below) override {
        return either([&](Boards& boards) { return boards.newest(list, count, below); });
    }
    bool remove_list(const std::string& list) override {
        return either([&](Boards& boards) { return boards.remove_list(list); });
    }

private:
    RedisBoards redis_;
    MemoryBoards& memory_;
};

}  // namespace larder::cache
