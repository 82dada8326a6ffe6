#include "files_open.hpp"

namespace larder::files {

OpenFilePtr OpenFiles::find(std::string_view filename) {
    const std::scoped_lock lock(mutex_);
    const auto place = places_.find(filename);
    if (place == places_.end()) return nullptr;
    order_.splice(order_.begin(), order_, place->second);
    return *place->second;
}

void OpenFiles::keep(const OpenFilePtr& file,
                     const std::function<bool(const EntryPtr&)>& is_current) {
    OpenFilePtr gone;  // closed after the lock
    const std::scoped_lock lock(mutex_);
    const std::string& filename = file->entry->record.filename;
    if (!is_current(file->entry) || places_.find(filename) != places_.end()) return;
    order_.push_front(file);
    places_.emplace(filename, order_.begin());
    if (order_.size() <= most_) return;
    gone = std::move(order_.back());
    places_.erase(gone->entry->record.filename);
    order_.pop_back();
}

void OpenFiles::forget(std::string_view filename) {
    OpenFilePtr gone;
    const std::scoped_lock lock(mutex_);
    const auto place = places_.find(filename);
    if (place == places_.end()) return;
    gone = *place->second;
    order_.erase(place->second);
    places_.erase(place);
}

}  // namespace larder::files
