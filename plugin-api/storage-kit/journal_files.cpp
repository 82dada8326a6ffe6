// Renames and syncs around segments. Between two renames the folder is synced: on whatever file
// system this is, a segment that holds acknowledged commits has a name at every moment.
#include "storage-kit/journal_files.hpp"

#include <string>
#include <utility>

namespace larder::storage {

using journal::Header;
using journal::Segment;

namespace {

constexpr std::size_t kLineBytes = 1U << 20U;  // of a line that recovered commits are written in

void append_commit(std::string& line, const journal::Commit& commit) {
    const bool first = line.empty();
    if (first) line = journal::open_line();
    journal::begin_commit(line, commit.revision, commit.at_ms, first);
    for (const journal::Change& change : commit.changes) {
        if (change.remove) {
            journal::append_remove(line, change.key, change.expired);
        } else {
            journal::append_set(line, change.key, change.value, change.created_ms,
                                change.expires_ms, change.metadata);
        }
    }
    journal::end_commit(line);
}

}  // namespace

// ---- opening

void JournalFiles::start(const Recovered& found, std::uint64_t epoch, bool has_documents) {
    const bool has_records = found.has_records && !found.must_fold;
    try {
        if (has_records) {
            combine(found, epoch);
        } else if (has_documents) {
            // Made now, not by the first commit: its reserve is for a disk that is full by then.
            adopt(fresh({epoch, found.must_fold ? found.revision : found.folded}));
        } else if (found.has_journal) {
            remove_all();
        }
    } catch (const std::system_error& error) {
        if (!is_no_space(error)) throw;
        files_.remove(paths_.journal_new);
        if (has_records) return refresh(found);
        remove_all();
    }
}

// A small one where a large one cannot be had.
std::unique_ptr<Segment> JournalFiles::fresh(const Header& header) {
    const auto make = [&](std::uint64_t bytes) {
        auto made = prepare(bytes);
        write_header(*made, header);
        return made;
    };
    files_.make_directory(paths_.folder);
    try {
        return make(journal::kFirstBytes);
    } catch (const std::system_error& error) {
        if (!is_no_space(error)) throw;
    }
    return make(journal::kLeastBytes);
}

// Puts a segment made as .journal.new into service, in the stead of all others.
void JournalFiles::adopt(std::unique_ptr<Segment> segment) {
    files_.rename(paths_.journal_new, paths_.journal);
    files_.sync_directory(paths_.folder);
    current_ = std::move(segment);
    current_bytes_ = current_->used();
    if (files_.exists(paths_.journal_old)) remove_old();
}

// One new segment of all that is good in the old ones.
void JournalFiles::combine(const Recovered& found, std::uint64_t epoch) {
    auto made = fresh({epoch, found.folded});
    std::uint64_t last = found.folded;
    std::string line;
    const auto flush = [&] {
        journal::close_line(line);
        if (!made->has_room(line.size(), false, true)) {
            throw std::system_error(std::make_error_code(std::errc::no_space_on_device),
                                    "allocate " + paths_.journal_new);
        }
        made->append(line);
        line.clear();
    };
    const auto take = [&](const journal::Commit& commit) -> std::string {
        if (commit.revision != last + 1) return {};
        last = commit.revision;
        append_commit(line, commit);
        if (line.size() >= kLineBytes) flush();
        return {};
    };
    for (const auto& [path, end] : {std::pair(&paths_.journal_old, found.old_end),
                                    std::pair(&paths_.journal, found.journal_end)}) {
        if (end == 0) continue;
        const auto file = files_.open_read(*path);
        journal::read_segment(*file, *path, take);
    }
    if (!line.empty()) flush();
    made->sync();
    adopt(std::move(made));
}

// The same without needing space: every segment is written over with what was read of it.
void JournalFiles::refresh(const Recovered& found) {
    if (found.journal_end == 0) {
        files_.rename(paths_.journal_old, paths_.journal);
        files_.sync_directory(paths_.folder);
        current_ = Segment::rewrite(files_, paths_.journal, found.old_end);
    } else {
        if (found.old_end != 0) {
            Segment::rewrite(files_, paths_.journal_old, found.old_end);
            old_bytes_ = found.old_end;
            has_old_ = true;
        }
        current_ = Segment::rewrite(files_, paths_.journal, found.journal_end);
    }
    current_bytes_ = current_->used();
}

// ---- committing

bool JournalFiles::has_room(std::uint64_t length, bool removal_only, bool may_grow,
                            const Header& first) {
    if (!current_) {
        if (!may_grow) return false;
        try {
            adopt(fresh(first));
        } catch (const std::system_error& error) {
            if (!is_no_space(error)) throw;
            return false;
        }
    }
    return current_->has_room(length, removal_only, may_grow);
}

void JournalFiles::append(std::string_view line) {
    current_->append(line);
    current_bytes_ = current_->used();
}

// ---- a full disk

void JournalFiles::regain_reserve() {
    if (current_) current_->has_room(0, false, true);
}

void JournalFiles::replace_all(const Header& header) {
    remove_all();
    adopt(fresh(header));
}

// ---- checkpoints

std::unique_ptr<Segment> JournalFiles::prepare(std::uint64_t bytes) {
    try {
        return Segment::create(files_, paths_.journal_new, bytes);
    } catch (const std::system_error& error) {
        if (is_no_space(error)) files_.remove(paths_.journal_new);  // what it got is needed
        throw;
    }
}

void JournalFiles::write_header(Segment& next, const Header& header) {
    try {
        next.write_header(header);
    } catch (const std::system_error&) {
        files_.remove(paths_.journal_new);
        throw;
    }
}

void JournalFiles::move(std::unique_ptr<Segment> next) {
    files_.rename(paths_.journal, paths_.journal_old);
    files_.sync_directory(paths_.folder);
    files_.rename(paths_.journal_new, paths_.journal);
    files_.sync_directory(paths_.folder);
    old_bytes_ = current_bytes_.load();
    has_old_ = true;
    current_ = std::move(next);
    current_bytes_ = current_->used();
}

void JournalFiles::remove_old() {
    files_.remove(paths_.journal_old);
    files_.sync_directory(paths_.folder);
    has_old_ = false;
    old_bytes_ = 0;
}

void JournalFiles::remove_all() {
    const bool there =
        current_ || has_old_ || files_.exists(paths_.journal) || files_.exists(paths_.journal_old);
    current_.reset();
    if (!there) return;
    files_.remove(paths_.journal_old);
    files_.remove(paths_.journal);
    files_.sync_directory(paths_.folder);
    has_old_ = false;
    current_bytes_ = 0;
    old_bytes_ = 0;
}

}  // namespace larder::storage
