// The rules of FORMAT.md's chapter on opening, one function a rule. Not the writing that follows:
// the store does that with what it gets from here.
//
//   the checkpoint   the pair as it should be, interrupted renames, edits
//   the journal      what fits, what is passed over, what is damage
//   what follows     lost history, revisions for edits
#include "storage-kit/recovery.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "larder/error.hpp"
#include "storage-kit/atomic_file.hpp"
#include "storage-kit/journal.hpp"
#include "storage-kit/json.hpp"

namespace larder::storage {
namespace {

using checkpoint::Head;
using checkpoint::Paths;

// A .meta's line, kept while the readable file is compared with it.
struct Known {
    Stamp stamp;
    std::string metadata, hash;
    bool seen = false;
};

class Recovery {
public:
    Recovery(FileSystem& files, const Paths& paths, std::int64_t now_ms,
             const std::function<void(const Finding&)>& report, bool keep_events)
        : files_(files),
          paths_(paths),
          now_ms_(now_ms),
          report_(report),
          keep_events_(keep_events) {}

    Recovered run() {
        read_checkpoint();
        last_ = result_.folded;
        replay();
        if (result_.damage.empty()) check_history();
        settle_edits();
        if (applied_ > 0) result_.cleared = false;
        if (result_.must_fold) result_.events.clear();  // not of the epoch that begins
        return std::move(result_);
    }

private:
    void tell(Finding::Kind kind, std::string text) const {
        if (report_) report_({kind, std::move(text)});
    }

    // ---- the checkpoint

    void read_checkpoint() {
        if (files_.exists(paths_.meta)) {
            if (take_pair(checkpoint::read_pair(files_, paths_.json, paths_.meta, paths_.shape)))
                return;
            if (finish_renames() || take_cleared()) return;
            return compare_with_meta();
        }
        if (take_pair(checkpoint::read_pair(files_, paths_.json, paths_.meta_tmp, paths_.shape))) {
            return finish(paths_.meta_tmp, paths_.meta);
        }
        if (files_.exists(paths_.json)) take_plain();
    }

    bool take_pair(std::optional<checkpoint::Pair> pair) {
        if (!pair) return false;
        result_.index = std::move(pair->index);
        take_head(pair->head);
        result_.json_sha256 = pair->head.json_sha256;
        return true;
    }

    void take_head(const Head& head) {
        result_.epoch = head.epoch;
        result_.revision = head.revision;
        result_.folded = head.folded;
        has_head_ = true;
    }

    void finish(const std::string& from, const std::string& to) {
        files_.rename(from, to);
        files_.sync_directory(paths_.folder);
    }

    // A crash came between the two renames of a checkpoint, or the disk kept only one of them.
    bool finish_renames() {
        if (take_pair(checkpoint::read_pair(files_, paths_.json, paths_.meta_tmp, paths_.shape))) {
            finish(paths_.meta_tmp, paths_.meta);
            return true;
        }
        auto pair = checkpoint::read_pair(files_, paths_.json_tmp, paths_.meta, paths_.shape);
        if (!pair) return false;
        const bool untouched =
            checkpoint::sha256_of(files_, paths_.json) == pair->head.previous_sha256;
        if (!untouched) {
            const std::string aside = keep_aside();
            tell(
                Finding::Kind::edited_aside,
                fmt::format("{}: was edited after a crash had left an older state in it; the newer "
                            "one is served, the edited file is kept as {}",
                            paths_.json, aside));
        }
        take_pair(std::move(pair));
        finish(paths_.json_tmp, paths_.json);
        return true;
    }

    // The store was emptied as a whole. The readable file of the time before may still stand there,
    // if its removal was lost; any other one is an edit.
    bool take_cleared() {
        const checkpoint::Meta meta =
            checkpoint::read_meta(files_, paths_.meta, [](const checkpoint::Line&) {});
        if (!meta.whole || !meta.head->json_sha256.empty()) return false;
        if (files_.exists(paths_.json)) {
            if (checkpoint::sha256_of(files_, paths_.json) != meta.head->previous_sha256) {
                return false;
            }
            files_.remove(paths_.json);
            files_.sync_directory(paths_.folder);
        }
        files_.remove(paths_.json_tmp);
        take_head(*meta.head);
        result_.cleared = true;
        return true;
    }

    std::string keep_aside() {
        const auto seconds = static_cast<std::time_t>(now_ms_ / 1000);
        std::string aside =
            fmt::format("{}.edited-{:%Y%m%dT%H%M%SZ}", paths_.json, fmt::gmtime(seconds));
        if (files_.exists(paths_.json)) copy_file(files_, paths_.json, aside);
        return aside;
    }

    // A file that no .meta speaks of: the origin's, or one made by hand.
    void take_plain() {
        const std::int64_t modified = files_.open_read(paths_.json)->modified_ms();
        checkpoint::read_foreign(
            files_, paths_.json, paths_.shape, [&](std::string_view key, std::string_view value) {
                result_.index.put(make_document({1, modified, modified, 0}, key, value, {}));
            });
        result_.revision = result_.folded = 1;
        result_.json_sha256 = checkpoint::sha256_of(files_, paths_.json);
    }

    // The readable file is not the one that the .meta was written with.
    void compare_with_meta() {
        std::map<std::string, Known, std::less<>> known;
        const checkpoint::Meta meta =
            checkpoint::read_meta(files_, paths_.meta, [&](const checkpoint::Line& line) {
                known[json::unquoted(line.key_literal)] = {line.stamp, std::string(line.metadata),
                                                           std::string(line.value_hash)};
            });
        result_.json_sha256 = checkpoint::sha256_of(files_, paths_.json);
        if (meta.head) {
            take_head(*meta.head);
        } else {
            // Its epoch is not known. Unix time is greater than any that was counted up from 1.
            result_.epoch = static_cast<std::uint64_t>(std::max<std::int64_t>(now_ms_ / 1000, 1));
        }
        for (const auto& [key, line] : known) {
            result_.revision = std::max(result_.revision, line.stamp.revision);
        }
        if (!meta.whole) {
            meta_damaged_ = true;
            tell(Finding::Kind::damaged,
                 fmt::format("{}: is damaged; the values in {} are served, with new revisions "
                             "where the old ones are lost",
                             paths_.meta, paths_.json));
        }
        // With the segment that leads from one to the other this is the checkpoint before, not an
        // edit: the new readable file was lost with the rename that should have put it here.
        older_ = meta.head && result_.json_sha256 == meta.head->previous_sha256 &&
                 files_.exists(paths_.journal_old);
        take_compared(known);
    }

    void take_compared(std::map<std::string, Known, std::less<>>& known) {
        if (files_.exists(paths_.json)) {
            edited_ms_ = files_.open_read(paths_.json)->modified_ms();
            checkpoint::read_foreign(
                files_, paths_.json, paths_.shape,
                [&](std::string_view key, std::string_view value) { compare(known, key, value); });
        } else {
            edited_ms_ = now_ms_;
        }
        removed_ = static_cast<std::size_t>(std::count_if(
            known.begin(), known.end(), [](const auto& line) { return !line.second.seen; }));
        edited_ = !older_;
        result_.must_fold = true;
    }

    void compare(std::map<std::string, Known, std::less<>>& known, std::string_view key,
                 std::string_view value) {
        const auto found = known.find(key);
        if (found != known.end()) found->second.seen = true;
        if (found != known.end() && found->second.hash == checkpoint::hash_of(sha_, value)) {
            result_.index.put(
                make_document(found->second.stamp, key, value, found->second.metadata));
            return;
        }
        // Revision 0 until settle_edits(): the journal may have a say about this key.
        const std::int64_t created =
            found == known.end() ? edited_ms_ : found->second.stamp.created_ms;
        result_.index.put(make_document({0, created, edited_ms_, 0}, key, value, {}));
        changed_.emplace_back(key);
    }

    // ---- the journal

    void replay() {
        for (const std::string* path : {&paths_.journal_old, &paths_.journal}) {
            if (!files_.exists(*path)) continue;
            result_.has_journal = true;
            if (result_.damage.empty()) replay_segment(*path);
        }
        result_.has_records = applied_ > 0;
        if (!result_.damage.empty()) {
            result_.damage +=
                ": the store is read-only; copy the folder, then restore a backup, or move the "
                "journal away to go on without the changes that it holds";
            tell(Finding::Kind::damaged, result_.damage);
        } else if (applied_ > 0) {
            tell(Finding::Kind::recovered,
                 fmt::format(
                     "{}: {} changes were taken from the journal: the last end was not clean",
                     paths_.json, applied_));
        }
    }

    void replay_segment(const std::string& path) {
        const auto file = files_.open_read(path);
        const auto header = journal::read_header(*file, path);
        if (!header) {
            result_.damage = fmt::format("{}: no journal header at byte 0", path);
            return;
        }
        // Folded into a checkpoint that began a new epoch; only its removal was lost.
        if (has_head_ && !meta_damaged_ && header->epoch < result_.epoch) return;
        if (!has_head_) adopt(*header);
        if (older_ && path == paths_.journal_old) result_.folded = last_ = header->after;
        result_.damage = misfit(*header, path);
        if (!result_.damage.empty()) return;
        const journal::Contents contents = journal::read_segment(
            *file, path, [this](const journal::Commit& commit) { return apply(commit); });
        (path == paths_.journal ? result_.journal_end : result_.old_end) = contents.end_offset;
        if (contents.end == journal::End::damaged) result_.damage = contents.why;
        if (contents.end == journal::End::torn) {
            tell(Finding::Kind::torn_tail, contents.why + ": cut off, it was never acknowledged");
        }
    }

    // No .meta says where the journal should begin: it says so itself.
    void adopt(const journal::Header& header) {
        if (!meta_damaged_) result_.epoch = header.epoch;
        result_.folded = last_ = header.after;
        result_.revision = std::max(result_.revision, header.after);
        has_head_ = true;
    }

    std::string misfit(const journal::Header& header, const std::string& path) const {
        if (header.epoch > result_.epoch) {
            return fmt::format("{}: belongs to epoch {}, the checkpoint beside it to {}", path,
                               header.epoch, result_.epoch);
        }
        if (header.after > last_) {
            return fmt::format("{}: begins after revision {}, what precedes it ends at {}", path,
                               header.after, last_);
        }
        return {};
    }

    std::string apply(const journal::Commit& commit) {
        if (commit.revision <= last_) return {};
        if (commit.revision != last_ + 1) {
            return fmt::format("revision {} follows {}", commit.revision, last_);
        }
        for (const journal::Change& change : commit.changes) {
            const Stamp stamp{commit.revision, change.created_ms, commit.at_ms, change.expires_ms};
            auto document = make_document(stamp, change.key, change.value, change.metadata);
            if (keep_events_) {
                const auto kind = change.expired  ? Event::Kind::expire
                                  : change.remove ? Event::Kind::remove
                                                  : Event::Kind::set;
                const bool last = &change == &commit.changes.back();
                result_.events.push_back({kind, last, document});
            }
            if (change.remove) {
                result_.index.erase(change.key);
            } else {
                result_.index.put(std::move(document));
            }
        }
        last_ = commit.revision;
        result_.revision = std::max(result_.revision, last_);
        ++applied_;
        return {};
    }

    // ---- what follows from both

    // The checkpoint was written while commits went on; without the journal's part of them it is a
    // mixture of moments.
    void check_history() {
        if (!has_head_ || last_ >= result_.revision) return;
        tell(Finding::Kind::damaged,
             fmt::format("{}: the journal that leads from revision {} to {} is gone; the file is "
                         "served as it is",
                         paths_.json, last_, result_.revision));
        new_epoch_ = true;
    }

    void settle_edits() {
        const std::size_t touched = changed_.size() + removed_;
        bool stamped = edited_ && removed_ > 0;
        const std::uint64_t next = result_.revision + 1;
        for (const std::string& key : changed_) {
            const DocumentPtr& document = result_.index.find(key);
            if (!document || document->revision != 0) continue;  // the journal knew better
            const Stamp stamp{next, document->created_ms, document->updated_ms, 0};
            result_.index.put(make_document(stamp, key, document->value, {}));
            stamped = true;
        }
        if (stamped) result_.revision = next;
        if (stamped || meta_damaged_ || new_epoch_) {
            ++result_.epoch;
            result_.must_fold = true;
        }
        if (!edited_ || meta_damaged_ || !result_.damage.empty()) return;
        const std::string what =
            fmt::format("{}: was edited by hand: {} keys new or changed, {} removed", paths_.json,
                        touched - removed_, removed_);
        if (!result_.has_records) return tell(Finding::Kind::edited, what);
        tell(Finding::Kind::edited_aside,
             fmt::format("{}; the journal held changes that the editor could not see and won; the "
                         "edited file is kept as {}",
                         what, keep_aside()));
    }

    FileSystem& files_;
    const Paths& paths_;
    const std::int64_t now_ms_;
    const std::function<void(const Finding&)>& report_;
    const bool keep_events_;
    Sha256 sha_;

    Recovered result_;
    bool has_head_ = false;  // epoch and folded are known
    bool meta_damaged_ = false;
    bool older_ = false;  // the readable file is the one before the .meta's
    bool edited_ = false;
    bool new_epoch_ = false;
    std::int64_t edited_ms_ = 0;
    std::vector<std::string> changed_;  // by the edit; in the index with revision 0
    std::size_t removed_ = 0;           // by the edit
    std::uint64_t last_ = 0;            // the revision that the next commit must follow
    std::size_t applied_ = 0;           // commits of the journal
};

}  // namespace

Recovered recover(FileSystem& files, const Paths& paths, std::int64_t now_ms,
                  const std::function<void(const Finding&)>& report, bool keep_events) {
    return Recovery(files, paths, now_ms, report, keep_events).run();
}

}  // namespace larder::storage
