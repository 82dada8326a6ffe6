// What a store's files say when it is opened: checkpoint, edits by hand and journal brought
// together. Reads, finishes a rename that a crash interrupted and keeps an edited copy aside;
// writes no data.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "storage-kit/checkpoint.hpp"
#include "storage-kit/document_store.hpp"
#include "storage-kit/index.hpp"

namespace larder::storage {

struct Recovered {
    Index index;
    std::uint64_t epoch = 1;
    std::uint64_t revision = 0;
    std::uint64_t folded = 0;  // every change up to here is in the readable file
    std::string json_sha256;   // of the readable file as it stands, empty where there is none
    bool has_records = false;  // the journal holds changes after `folded`
    bool has_journal = false;  // a journal's file is there
    std::uint64_t journal_end = 0, old_end = 0;  // of the good lines; 0 where there are none
    bool cleared = false;                        // emptied as a whole, and nothing came since
    bool must_fold = false;     // a checkpoint has to come before anything is served
    std::string damage;         // not empty: serve, but change nothing
    std::vector<Event> events;  // of the journal's commits after `folded`, if asked for
};

// Throws Error{corrupt} where nothing can be served, and std::system_error. [control]
Recovered recover(FileSystem& files, const checkpoint::Paths& paths, std::int64_t now_ms,
                  const std::function<void(const Finding&)>& report, bool keep_events = false);

}  // namespace larder::storage
