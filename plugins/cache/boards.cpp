// Contents: in memory · in Redis.
#include "boards.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>

#include "larder/error.hpp"
#include "redis_scripts.hpp"

namespace larder::cache {
namespace {

Error board_full() {
    return {Errc::no_space, "board-full",
            fmt::format("a board has at most {} members, and all of them have cache.board_memory",
                        kMostMembers)};
}

Error not_a_number() {
    return {Errc::conflict, "not-a-number", "the score would be beyond double precision"};
}

double score_of(std::string_view text) {
    double score = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), score);
    if (error != std::errc() || end != text.data() + text.size()) throw RedisAway();
    return score;
}

}  // namespace

// ---- in memory

Standing MemoryBoards::standing(const Board& board, const std::string& member, double score) {
    return {member, score, board.order.size() - board.order.order_of_key({score, member})};
}

Standing MemoryBoards::score(const std::string& name, const std::string& member, double number,
                             bool add) {
    constexpr std::size_t kAround = 256;  // bytes a member takes beside its name, twice
    const std::scoped_lock lock(mutex_);
    const auto known = boards_.find(name);
    double before = 0;
    bool is_new = true;
    if (known != boards_.end()) {
        const auto found = known->second.scores.find(member);
        is_new = found == known->second.scores.end();
        if (!is_new) before = found->second;
    }
    const double after = add ? before + number : number;
    if (!std::isfinite(after)) throw not_a_number();
    const std::size_t bytes =
        kAround + 2 * member.size() + (known == boards_.end() ? name.size() : 0);
    if (is_new && (bytes_ + bytes > most_bytes_ ||
                   (known != boards_.end() && known->second.scores.size() >= kMostMembers))) {
        throw board_full();
    }
    Board& board = boards_[name];
    if (is_new) {
        bytes_ += bytes;
        board.bytes += bytes;
    } else {
        board.order.erase({before, member});
    }
    board.scores[member] = after;
    board.order.insert({after, member});
    return standing(board, member, after);
}

std::optional<Standing> MemoryBoards::find(const std::string& name, const std::string& member) {
    const std::scoped_lock lock(mutex_);
    const auto board = boards_.find(name);
    if (board == boards_.end()) return std::nullopt;
    const auto found = board->second.scores.find(member);
    if (found == board->second.scores.end()) return std::nullopt;
    return standing(board->second, member, found->second);
}

std::vector<Standing> MemoryBoards::top(const std::string& name, std::size_t count,
                                        const std::optional<Standing>& after) {
    std::vector<Standing> best;
    const std::scoped_lock lock(mutex_);
    const auto board = boards_.find(name);
    if (board == boards_.end()) return best;
    const auto& order = board->second.order;
    auto at = order.end();
    std::uint64_t rank = 0;
    if (after) {
        const std::pair<double, std::string> place{after->score, after->member};
        at = order.lower_bound(place);
        rank = order.size() - order.order_of_key(place);
    }
    while (at != order.begin() && best.size() < count) {
        --at;
        best.push_back({at->second, at->first, ++rank});
    }
    return best;
}

bool MemoryBoards::remove(const std::string& name) {
    const std::scoped_lock lock(mutex_);
    const auto board = boards_.find(name);
    if (board == boards_.end()) return false;
    bytes_ -= board->second.bytes;
    boards_.erase(board);
    return true;
}

std::size_t MemoryBoards::push(const std::string& name, const std::string& value,
                               std::size_t keep) {
    constexpr std::size_t kAround = 64;
    const std::scoped_lock lock(mutex_);
    if (bytes_ + kAround + value.size() > most_bytes_) {
        throw Error(Errc::no_space, "list-full",
                    "lists and boards take as much memory as cache.board_memory allows");
    }
    List& list = lists_.try_emplace(name, List{{}, pushes_, 0}).first->second;
    const std::size_t before = list.bytes;
    list.values.push_front(value);
    ++list.pushed;
    ++pushes_;
    list.bytes += kAround + value.size();
    while (list.values.size() > keep) {
        list.bytes -= kAround + list.values.back().size();
        list.values.pop_back();
    }
    bytes_ = bytes_ + list.bytes - before;
    return list.values.size();
}

std::vector<ListValue> MemoryBoards::newest(const std::string& name, std::size_t count,
                                            std::uint64_t below) {
    std::vector<ListValue> found;
    const std::scoped_lock lock(mutex_);
    const auto list = lists_.find(name);
    if (list == lists_.end()) return found;
    const auto& [values, pushed, bytes] = list->second;
    const std::uint64_t from = below > 0 && below <= pushed ? pushed - below + 1 : 0;
    for (std::uint64_t i = from; i < values.size() && found.size() < count; ++i) {
        found.push_back({pushed - i, values[i]});
    }
    return found;
}

bool MemoryBoards::remove_list(const std::string& name) {
    const std::scoped_lock lock(mutex_);
    const auto list = lists_.find(name);
    if (list == lists_.end()) return false;
    bytes_ -= list->second.bytes;
    lists_.erase(list);
    return true;
}

// ---- in Redis

namespace {

std::optional<Standing> standing_of(const std::string& member, const RedisReply& reply) {
    const auto& items = reply.items;
    if (reply.kind == RedisReply::Kind::array && items.empty()) return std::nullopt;
    if (items.size() != 2 || items[1].kind != RedisReply::Kind::integer) throw RedisAway();
    return Standing{member, score_of(items[0].text),
                    static_cast<std::uint64_t>(items[1].integer) + 1};
}

}  // namespace

Standing RedisBoards::score(const std::string& board, const std::string& member, double number,
                            bool add) {
    const std::string text = fmt::format("{}", number), most = std::to_string(kMostMembers);
    const RedisReply reply =
        link_.run(scripts::score_member(), {board, member, add ? "by" : "score", text, most});
    if (reply.kind == RedisReply::Kind::integer) {
        if (reply.integer == 0) throw board_full();
        throw not_a_number();
    }
    if (const auto standing = standing_of(member, reply)) return *standing;
    throw RedisAway();
}

std::optional<Standing> RedisBoards::find(const std::string& board, const std::string& member) {
    return standing_of(member, link_.run(scripts::rank_member(), {board, member}));
}

std::vector<Standing> RedisBoards::top(const std::string& board, std::size_t count,
                                       const std::optional<Standing>& after) {
    const std::string most = std::to_string(count),
                      score = after ? fmt::format("{}", after->score) : "";
    std::vector<std::string_view> words{board, most};
    if (after) words.insert(words.end(), {score, after->member});
    const RedisReply reply = link_.run(scripts::page_board(), words);
    const auto& items = reply.items;
    if (items.size() % 2 != 1 || items[0].kind != RedisReply::Kind::integer) throw RedisAway();
    auto rank = static_cast<std::uint64_t>(items[0].integer);
    std::vector<Standing> best;
    for (std::size_t i = 1; i < items.size(); i += 2) {
        best.push_back({items[i].text, score_of(items[i + 1].text), ++rank});
    }
    return best;
}

bool RedisBoards::remove(const std::string& board) {
    return link_.ask({"DEL", link_.prefix() + "board:" + board}).integer > 0;
}

std::size_t RedisBoards::push(const std::string& list, const std::string& value, std::size_t keep) {
    const RedisReply reply =
        link_.run(scripts::push_to_list(), {list, value, std::to_string(keep)});
    if (reply.kind != RedisReply::Kind::integer || reply.integer < 1) throw RedisAway();
    return static_cast<std::size_t>(reply.integer);
}

std::vector<ListValue> RedisBoards::newest(const std::string& list, std::size_t count,
                                           std::uint64_t below) {
    RedisReply reply =
        link_.run(scripts::page_list(), {list, std::to_string(count), std::to_string(below)});
    auto& items = reply.items;
    if (items.empty() || items[0].kind != RedisReply::Kind::integer) throw RedisAway();
    auto number = static_cast<std::uint64_t>(items[0].integer);
    std::vector<ListValue> values;
    for (std::size_t i = 1; i < items.size(); ++i) {
        values.push_back({number--, std::move(items[i].text)});
    }
    return values;
}

bool RedisBoards::remove_list(const std::string& list) {
    return link_.run(scripts::remove_list(), {list}).integer > 0;
}

}  // namespace larder::cache
