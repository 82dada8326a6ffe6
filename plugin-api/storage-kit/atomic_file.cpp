// Write, sync, rename, sync the folder: all four, in this order. Not for files larger than memory.
#include "storage-kit/atomic_file.hpp"

namespace larder::storage {

void write_atomically(FileSystem& files, const std::string& path, std::string_view content) {
    const std::string temporary = path + ".tmp";
    try {
        const auto file = files.create(temporary);
        file->write(0, {&content, 1});
        file->sync_data();
    } catch (const std::system_error&) {
        // A full disk wants its bytes back. That this fails too says nothing new.
        try {
            files.remove(temporary);
        } catch (const std::system_error&) {  // NOLINT(bugprone-empty-catch)
        }
        throw;
    }
    files.rename(temporary, path);
    files.sync_directory(parent_of(path));
}

void copy_file(FileSystem& files, const std::string& from, const std::string& to) {
    write_atomically(files, to, read_file(files, from));
}

std::string read_file(FileSystem& files, const std::string& path) {
    const auto file = files.open_read(path);
    std::string content(file->size(), '\0');
    content.resize(file->read(0, content));
    return content;
}

}  // namespace larder::storage
