// The chain that audit records stand in: each has a seal, an HMAC-SHA-256 (RFC 2104) over itself
// and the seal of the record before it, so that nobody without the key can change, add, move or
// drop one unseen. Judging a chain is done here too. Not where records are kept: audit_store.hpp.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace larder::metrics {

struct AuditRow {
    std::int64_t seq = 0;  // from 1, without gaps
    std::string time;      // as SQLite's
    std::string actor, action, target, outcome, ip_address, request_id, source;
    std::string details;       // a JSON object, or empty
    std::string before, seal;  // hexadecimal; `before` is the seal of seq - 1, kGenesis of 1
};

// Where a chain stands: after this record. Written beside the database, and where old records were
// removed; signed by a seal of its own.
struct AuditMark {
    std::int64_t seq = 0;
    std::string seal;  // of the record `seq`
};

// What stands before the first record.
inline constexpr std::string_view kGenesis =
    "0000000000000000000000000000000000000000000000000000000000000000";

// The action of the record that is written where the daemon finds that the latest records are gone;
// its target is the first and the last that are missing, "8-9", or "?" where the head is gone and
// nobody can say.
inline constexpr std::string_view kTruncated = "audit.truncated";

class AuditKey {
public:
    static constexpr std::size_t kBytes = 32;
    explicit AuditKey(std::string secret);  // kBytes of it

    std::string seal(const AuditRow& row) const;  // of all its members but the seal
    // `what`: "head" or "anchor", so that one can't be shown for the other.
    std::string sign(std::string_view what, const AuditMark& mark) const;

private:
    std::string hmac(std::string_view text) const;
    const std::string secret_;
};

struct AuditFault {
    enum class Kind : std::uint8_t { edited = 1, inserted, reordered, truncated, removed };
    Kind kind;
    std::int64_t seq;
};
std::string_view kind_word(AuditFault::Kind kind) noexcept;

// Judges a chain row by row, in the order in which they stand; keeps of sound rows no more than a
// number each. A row whose seal holds is what was written, so its number is known whatever was done
// to it; of the others each is told apart by what is missing among those.
class AuditJudge {
public:
    // `anchor`: what the chain begins behind. `head`: what it must reach; seq 0: nothing is known.
    AuditJudge(const AuditKey& key, AuditMark anchor, AuditMark head);
    void take(AuditRow row);
    // At most some hundred, by seq. Once.
    std::vector<AuditFault> finish();
    std::uint64_t checked() const noexcept { return checked_; }

private:
    struct Odd {
        AuditRow row;
        std::size_t place;  // in order_
    };
    void note_gap(const AuditRow& row);
    void place_known(std::int64_t seq);
    bool try_number(AuditRow& row, std::int64_t seq) const;
    void name_odd_rows();
    void find_moved();
    void find_missing();
    void fault(AuditFault::Kind kind, std::int64_t seq);
    bool is_present(std::int64_t seq) const;

    const AuditKey& key_;
    const AuditMark anchor_, head_;
    std::uint64_t checked_ = 0;
    AuditMark last_;                    // the row taken last whose seal holds
    std::vector<std::int64_t> order_;   // true numbers in the order of the rows; 0: not known
    std::vector<std::int64_t> stored_;  // the numbers that the rows say
    std::vector<bool> present_;         // by true number - anchor_.seq - 1
    std::vector<Odd> odd_;
    std::vector<std::pair<std::int64_t, std::int64_t>> known_gaps_;  // of kTruncated records
    std::vector<AuditFault> faults_;
};

}  // namespace larder::metrics
