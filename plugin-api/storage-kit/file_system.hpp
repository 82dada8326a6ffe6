// Every call that storage-kit makes to the operating system about files. A seam, so that tests can
// fail a call, shorten a write or forget what was not synced; not a portability layer.
#pragma once

#include <cstdint>
#include <ctime>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace larder::storage {

// An open file; closed by its destructor. Errors are std::system_error with the errno. [any, one
// thread at a time]
class File {
public:
    virtual ~File() = default;
    // Appends all parts at `offset`, as one writev where the system takes it whole.
    virtual void write(std::uint64_t offset, std::span<const std::string_view> parts) = 0;
    virtual std::size_t read(std::uint64_t offset, std::span<char> into) = 0;  // 0 at the end
    virtual void sync_data() = 0;  // fdatasync: never repeat it after a failure
    // Makes [offset, offset+length) hold zeros that are really allocated, so that writing there
    // needs neither space nor a size change.
    virtual void allocate(std::uint64_t offset, std::uint64_t length) = 0;
    virtual void truncate(std::uint64_t length) = 0;
    virtual std::uint64_t size() const = 0;
    virtual std::int64_t modified_ms() const = 0;  // Unix time
};

class FileSystem {
public:
    virtual ~FileSystem() = default;
    virtual std::unique_ptr<File> open_read(const std::string& path) = 0;
    virtual std::unique_ptr<File> open_write(const std::string& path) = 0;  // must exist
    virtual std::unique_ptr<File> create(const std::string& path) = 0;      // new or emptied, 0640
    virtual bool exists(const std::string& path) = 0;
    virtual void rename(const std::string& from, const std::string& to) = 0;
    virtual void remove(const std::string& path) = 0;  // absent is no error
    virtual void make_directory(
        const std::string& path) = 0;  // parents too; present is no error; 0750
    // The real one wants no descriptor for a directory that it synced lately.
    virtual void sync_directory(const std::string& path) = 0;
    virtual std::vector<std::string> list(const std::string& directory) = 0;  // names, sorted

    static FileSystem& real();  // the operating system's
};

// The folder that holds `path`: "." for a bare name. [any]
std::string parent_of(const std::string& path);
// ENOSPC or EDQUOT: the two that pass when somebody makes room. [any]
bool is_no_space(const std::system_error& error) noexcept;
// EMFILE or ENFILE: they pass when somebody closes a file or a connection. [any]
bool is_out_of_descriptors(const std::system_error& error) noexcept;
// Of the regular files in the folder and all below it; symbolic links count for nothing, nor does
// what cannot be looked at. [any]
std::uint64_t bytes_below(const std::string& folder);

}  // namespace larder::storage
