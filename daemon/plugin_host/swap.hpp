// Files put in the place of others as one step that survives a kill at any point: what is planned
// stands in a journal before the first rename, and is brought to its end by the next start. Not the
// stopping and starting of those whose files they are.
//
//   plan → journal(forward) → renames → journal(adopting) → … → no journal: the new state
//                                             └→ journal(back) → renames → no journal: the old one
//
// The journal is .swap.json in the data directory; what stood there before is kept in .swap-<n>/.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "larder/maintenance.hpp"
#include "storage-kit/file_system.hpp"

namespace larder::plugin_host {

class Swap {
public:
    enum class State : std::uint8_t { forward = 1, adopting, back };

    // The one that a former life left unfinished. Without one, what is left of finished ones is
    // removed. Throws Error{corrupt}, std::system_error. [control]
    static std::optional<Swap> unfinished(storage::FileSystem& files, const std::string& directory);

    // Writes the journal: from here on it will happen. Throws Error{unprocessable, "invalid-plan"}
    // where a path is malformed or what is staged is not there, Error{conflict, "swap-running"};
    // std::system_error. [worker]
    Swap(storage::FileSystem& files, const std::string& directory, std::vector<SwapItem> plan,
         std::int64_t now_ms);

    State state() const noexcept { return state_; }
    // The paths in question, without those that go along with a file.
    std::vector<std::string> paths() const;
    std::string aside() const { return directory_ + "/" + aside_; }  // absolute

    // Each may be called again after it was interrupted, or has thrown std::system_error.
    void forward();  // the new files in place; state adopting
    void back();     // the old ones in place again, the new ones where they were staged
    void finish();   // no journal any more; what was kept aside goes

private:
    struct Item {
        std::string path, staged;
        bool goes_along = false;  // with the file before it
    };

    Swap(storage::FileSystem& files, std::string directory)
        : files_(&files), directory_(std::move(directory)) {}
    void read();
    void write(State state);
    void expand(const SwapItem& item);
    std::vector<std::string> companions(const std::string& path) const;
    bool has(const std::string& path) const { return files_->exists(at(path)); }
    std::string at(const std::string& path) const { return directory_ + "/" + path; }
    void move(const std::string& from, const std::string& to);

    storage::FileSystem* files_;
    std::string directory_, aside_;
    State state_ = State::forward;
    std::vector<Item> items_;
};

// Whether a path can only lie below the folder it is relative to, in ordinary names. [any]
bool is_inner_path(const std::string& path);

}  // namespace larder::plugin_host
