#include "audit_chain.hpp"
#include "storage-kit/encodings.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>
#include <utility>

namespace larder::metrics {
namespace {

constexpr std::size_t kMostFaults = 500;
constexpr std::size_t kMostTries = 2'000'000;  // seals computed to find where odd rows belong

// Length before text, so that no two rows read the same.
void put(std::string& out, std::string_view text) {
    out += fmt::format("{}:{};", text.size(), text);
}

}  // namespace

// ---- seals

AuditKey::AuditKey(std::string secret) : secret_(std::move(secret)) {
    if (secret_.size() != kBytes) throw std::invalid_argument("an audit key has 32 bytes");
}

std::string AuditKey::hmac(std::string_view text) const {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    const auto* const bytes = reinterpret_cast<const unsigned char*>(text.data());
    if (HMAC(EVP_sha256(), secret_.data(), static_cast<int>(secret_.size()), bytes, text.size(),
             digest.data(), &size) == nullptr) {
        throw std::runtime_error("OpenSSL computes no HMAC");
    }
    return storage::to_hex(std::span(digest).first(size));
}

std::string AuditKey::seal(const AuditRow& row) const {
    std::string text = fmt::format("larder audit 1;{};", row.seq);
    for (const std::string* const member :
         {&row.before, &row.time, &row.actor, &row.action, &row.target, &row.outcome,
          &row.ip_address, &row.request_id, &row.source, &row.details}) {
        put(text, *member);
    }
    return hmac(text);
}

std::string AuditKey::sign(std::string_view what, const AuditMark& mark) const {
    return hmac(fmt::format("larder audit {} 1;{};{}", what, mark.seq, mark.seal));
}

std::string_view kind_word(AuditFault::Kind kind) noexcept {
    switch (kind) {
        case AuditFault::Kind::edited: return "edited";
        case AuditFault::Kind::inserted: return "inserted";
        case AuditFault::Kind::reordered: return "reordered";
        case AuditFault::Kind::truncated: return "truncated";
        case AuditFault::Kind::removed: return "removed";
    }
    return "unknown";
}

// ---- judging

AuditJudge::AuditJudge(const AuditKey& key, AuditMark anchor, AuditMark head)
    : key_(key), anchor_(std::move(anchor)), head_(std::move(head)), last_(anchor_) {}

void AuditJudge::fault(AuditFault::Kind kind, std::int64_t seq) {
    if (faults_.size() < kMostFaults) faults_.push_back({kind, seq});
}

bool AuditJudge::is_present(std::int64_t seq) const {
    const std::int64_t at = seq - anchor_.seq - 1;
    return at >= 0 && at < static_cast<std::int64_t>(present_.size()) &&
           present_[static_cast<std::size_t>(at)];
}

bool AuditJudge::try_number(AuditRow& row, std::int64_t seq) const {
    const std::int64_t stored = std::exchange(row.seq, seq);
    const bool holds = key_.seal(row) == row.seal;
    row.seq = stored;
    return holds;
}

void AuditJudge::take(AuditRow row) {
    ++checked_;
    order_.push_back(0);
    stored_.push_back(row.seq);
    if (!try_number(row, row.seq)) {
        odd_.push_back({std::move(row), order_.size() - 1});
        return;
    }
    // What the anchor covers was removed for good, and nothing is there twice.
    if (row.seq <= anchor_.seq || is_present(row.seq)) {
        stored_.pop_back();
        order_.pop_back();
        return fault(AuditFault::Kind::inserted, row.seq);
    }
    // Both are what was written, but not one behind the other: of two histories.
    if (row.seq == last_.seq + 1 && row.before != last_.seal) {
        fault(AuditFault::Kind::edited, row.seq);
    }
    last_ = {row.seq, row.seal};
    if (row.action == kTruncated) note_gap(row);
    order_.back() = row.seq;
    place_known(row.seq);
}

void AuditJudge::note_gap(const AuditRow& row) {
    if (row.target == "?") return fault(AuditFault::Kind::truncated, row.seq);
    std::int64_t first = 0, last = 0;
    const char* const end = row.target.data() + row.target.size();
    const auto [dash, error] = std::from_chars(row.target.data(), end, first);
    if (error == std::errc() && dash != end) std::from_chars(dash + 1, end, last);
    known_gaps_.emplace_back(first, last);
}

void AuditJudge::place_known(std::int64_t seq) {
    const auto at = static_cast<std::size_t>(seq - anchor_.seq - 1);
    if (present_.size() <= at) present_.resize(at + 1);
    present_[at] = true;
}

std::vector<AuditFault> AuditJudge::finish() {
    if (head_.seq > anchor_.seq) {
        const auto wanted = static_cast<std::size_t>(head_.seq - anchor_.seq);
        if (present_.size() < wanted) present_.resize(wanted);
    }
    name_odd_rows();
    find_moved();
    find_missing();
    std::stable_sort(faults_.begin(), faults_.end(),
                     [](const AuditFault& a, const AuditFault& b) { return a.seq < b.seq; });
    return std::move(faults_);
}

// A row whose seal does not hold for the number it says was moved if it holds for one that is
// missing; edited, if its own number is missing; inserted, if it is not.
void AuditJudge::name_odd_rows() {
    std::vector<std::int64_t> missing;
    for (std::size_t i = 0; i < present_.size(); ++i) {
        if (!present_[i]) missing.push_back(anchor_.seq + 1 + static_cast<std::int64_t>(i));
    }
    // Rows that were renumbered lie one behind the other: the next is tried first.
    std::size_t tries = 0, next = 0;
    std::vector<Odd> left;
    for (Odd& odd : odd_) {
        bool moved = false;
        for (std::size_t i = 0; i < missing.size() && tries < kMostTries && !moved; ++i) {
            const std::size_t at = (next + i) % missing.size();
            const std::int64_t seq = missing[at];
            if (is_present(seq)) continue;
            ++tries;
            if (!try_number(odd.row, seq)) continue;
            moved = true;
            next = at + 1;
            place_known(seq);
            order_[odd.place] = seq;
        }
        if (!moved) left.push_back(std::move(odd));
    }
    for (const Odd& odd : left) {
        const std::int64_t seq = odd.row.seq;
        const std::int64_t last = anchor_.seq + static_cast<std::int64_t>(present_.size());
        if (seq > anchor_.seq && seq <= last && !is_present(seq)) {
            place_known(seq);
            order_[odd.place] = seq;
            fault(AuditFault::Kind::edited, seq);
        } else {
            stored_[odd.place] = 0;  // none of the chain's
            fault(AuditFault::Kind::inserted, seq);
        }
    }
}

// Rows that stand where another belongs, and rows that say another number than theirs, unless all
// that follow were renumbered alike, to hide a row that came or went.
void AuditJudge::find_moved() {
    std::vector<std::int64_t> order, stored;
    for (std::size_t i = 0; i < order_.size(); ++i) {
        if (order_[i] == 0) continue;
        order.push_back(order_[i]);
        stored.push_back(stored_[i]);
    }
    std::vector<std::int64_t> sorted = order;
    std::sort(sorted.begin(), sorted.end());
    const bool renumbered = std::is_sorted(stored.begin(), stored.end());
    const bool other_faults =
        !faults_.empty() || std::find(present_.begin(), present_.end(), false) != present_.end();
    bool told = false;
    for (std::size_t i = 0; i < order.size(); ++i) {
        const bool says_another = stored[i] != order[i];
        if (order[i] != sorted[i] || (says_another && !renumbered)) {
            fault(AuditFault::Kind::reordered, order[i]);
        } else if (says_another && !other_faults && !std::exchange(told, true)) {
            fault(AuditFault::Kind::edited, order[i]);
        }
    }
}

void AuditJudge::find_missing() {
    std::size_t end = present_.size();
    while (end > 0 && !present_[end - 1]) --end;
    for (std::size_t i = 0; i < present_.size(); ++i) {
        if (present_[i]) continue;
        const std::int64_t seq = anchor_.seq + 1 + static_cast<std::int64_t>(i);
        const bool was_end =
            std::any_of(known_gaps_.begin(), known_gaps_.end(),
                        [seq](const auto& gap) { return gap.first <= seq && seq <= gap.second; });
        fault(i >= end || was_end ? AuditFault::Kind::truncated : AuditFault::Kind::removed, seq);
    }
}

}  // namespace larder::metrics
