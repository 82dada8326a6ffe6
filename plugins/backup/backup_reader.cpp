#include "backup_reader.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <system_error>

#include "backup_paths.hpp"
#include "larder/error.hpp"
#include "storage-kit/digest.hpp"
#include "storage-kit/file_system.hpp"

namespace larder::backup {
namespace {

constexpr std::size_t kPiece = 256U << 10U;
constexpr std::size_t kMostFaults = 1000, kMostFiles = 20'000'000;
constexpr std::uint64_t kMostManifest = 1U << 30U;  // bytes

// The archive's bytes, hashed as they are read, and decrypted where they are encrypted.
class Source {
public:
    Source(const std::string& path, const ReadOptions& options) : options_(options) {
        try {
            file_ = storage::FileSystem::real().open_read(path);
        } catch (const std::system_error& error) {
            if (error.code() != std::errc::no_such_file_or_directory) throw;
            throw Error(Errc::not_found, "archive-missing", "the backup's archive is not there")
                .because(error.what());
        }
        std::string magic(kCipherMagic.size(), '\0');
        is_encrypted = file_->read(0, magic) == magic.size() && magic == kCipherMagic;
    }
    // Throws Error{corrupt, "wrong-key"} too where there is none.
    void open() {
        if (!is_encrypted) return;
        if (options_.key_file.empty()) {
            throw Error(Errc::corrupt, "wrong-key",
                        "the archive is encrypted; set backup.key_file to its key");
        }
        const Secret secret = Secret::read(options_.key_file);
        opener_.emplace(secret, [this](std::span<char> into) { return raw(into); });
    }
    std::size_t read(std::span<char> into) { return opener_ ? opener_->read(into) : raw(into); }
    // What nobody read, for the hash.
    void read_rest() {
        std::vector<char> piece(kPiece);
        while (raw(piece) > 0) {
        }
    }

    bool is_encrypted = false;
    storage::Sha256 sum;
    std::uint64_t at = 0;

private:
    std::size_t raw(std::span<char> into) {
        const std::size_t got = file_->read(at, into);
        sum.update({into.data(), got});
        at += got;
        if (options_.progress) options_.progress(at);
        return got;
    }

    const ReadOptions& options_;
    std::unique_ptr<storage::File> file_;
    std::optional<Opener> opener_;
};

class Tar {
public:
    explicit Tar(Source& source) : source_(source), buffer_(kPiece), tar_(archive_read_new()) {
        const bool ready = tar_ != nullptr &&
                           archive_read_support_filter_gzip(tar_) == ARCHIVE_OK &&
                           archive_read_support_format_tar(tar_) == ARCHIVE_OK;
        if (!ready) throw Error(Errc::internal, "internal", "the archive could not be read");
    }
    ~Tar() { archive_read_free(tar_); }
    Tar(const Tar&) = delete;
    Tar& operator=(const Tar&) = delete;

    bool open() { return checked(archive_read_open(tar_, this, nullptr, &Tar::give, nullptr)); }
    // Null at the end; `damaged` is set where that is none.
    archive_entry* next() {
        archive_entry* entry = nullptr;
        const int result = archive_read_next_header(tar_, &entry);
        if (result == ARCHIVE_EOF) return nullptr;
        return checked(result) ? entry : nullptr;
    }
    std::size_t read(std::span<char> into) {
        const la_ssize_t got = archive_read_data(tar_, into.data(), into.size());
        if (got < 0) checked(static_cast<int>(got));
        return got < 0 ? 0 : static_cast<std::size_t>(got);
    }
    bool damaged = false;

private:
    static la_ssize_t give(archive* tar, void* self, const void** bytes) {
        auto& reader = *static_cast<Tar*>(self);
        try {
            *bytes = reader.buffer_.data();
            return static_cast<la_ssize_t>(reader.source_.read(reader.buffer_));
        } catch (const std::exception&) {
            reader.fault_ = std::current_exception();
            archive_set_error(tar, EIO, "see the fault");
            return -1;
        }
    }
    bool checked(int result) {
        if (fault_) std::rethrow_exception(std::exchange(fault_, nullptr));
        if (result < ARCHIVE_WARN) damaged = true;
        return result >= ARCHIVE_WARN;
    }

    Source& source_;
    std::vector<char> buffer_;
    archive* tar_;
    std::exception_ptr fault_;
};

class Reader {
public:
    Reader(Reading& reading, FileTaker* taker) : reading_(reading), taker_(taker), piece_(kPiece) {}

    void read(Tar& tar) {
        if (tar.open()) {
            while (archive_entry* const entry = tar.next()) take(tar, *entry);
        }
        if (tar.damaged) fault({}, "unreadable");
        if (!reading_.has_manifest) {
            if (!has_fault("manifest")) fault(std::string(kManifestName), "manifest-missing");
            return;
        }
        compare();
    }
    void fault(std::string path, std::string kind) {
        if (reading_.faults.size() < kMostFaults) {
            reading_.faults.push_back({std::move(path), std::move(kind)});
        }
    }

private:
    void take(Tar& tar, archive_entry& entry) {
        const char* name = archive_entry_pathname(&entry);
        if (name == nullptr) name = archive_entry_pathname_utf8(&entry);
        std::string path = name == nullptr ? "" : name;
        const bool is_folder = archive_entry_filetype(&entry) == AE_IFDIR;
        if (is_folder && path.ends_with('/')) path.pop_back();
        if (path.starts_with("./")) path.erase(0, 2);
        if (is_folder && (path.empty() || path == ".")) return;
        if (!is_inner_path(path)) return fault(path, "hostile-path");
        if (is_folder) return;
        // Of links of both kinds, devices and pipes: none is ever made, none is followed.
        const bool is_plain =
            archive_entry_filetype(&entry) == AE_IFREG && archive_entry_hardlink(&entry) == nullptr;
        if (!is_plain) return fault(path, "not-a-file");
        if (path == kManifestName) return take_manifest(tar);
        if (reading_.found.contains(path) || reading_.found.size() == kMostFiles) {
            return fault(path, "duplicate");
        }
        take_file(tar, entry, path);
    }

    void take_manifest(Tar& tar) {
        std::string text;
        while (const std::size_t got = tar.read(piece_)) {
            text.append(piece_.data(), got);
            if (text.size() > kMostManifest) return fault(std::string(kManifestName), "manifest");
        }
        if (tar.damaged) return;
        try {
            if (reading_.has_manifest) return fault(std::string(kManifestName), "duplicate");
            reading_.manifest = read_manifest(text);
            reading_.has_manifest = true;
        } catch (const Error&) {
            fault(std::string(kManifestName), "manifest");
        }
    }

    void take_file(Tar& tar, archive_entry& entry, const std::string& path) {
        const auto size =
            static_cast<std::uint64_t>(std::max<la_int64_t>(archive_entry_size(&entry), 0));
        const bool wanted = taker_ != nullptr && taker_->begin(path, size);
        storage::Sha256 sum;
        FileEntry found;
        found.modified_ms = static_cast<std::int64_t>(archive_entry_mtime(&entry)) * 1000;
        while (const std::size_t got = tar.read(piece_)) {
            const std::string_view bytes(piece_.data(), got);
            sum.update(bytes);
            found.size += got;
            if (wanted) taker_->take(bytes);
        }
        found.sha256 = sum.finish_hex();
        if (!tar.damaged && wanted) {
            std::string kind = taker_->end(path);
            if (!kind.empty()) fault(path, std::move(kind));
        }
        reading_.found.emplace(path, std::move(found));
    }

    void compare() {
        for (const auto& [path, said] : reading_.manifest.files) {
            const auto found = reading_.found.find(path);
            if (found == reading_.found.end()) {
                fault(path, "file-missing");
            } else if (found->second.sha256 != said.sha256 || found->second.size != said.size) {
                fault(path, "file-hash");
            }
        }
        for (const auto& [path, file] : reading_.found) {
            if (!reading_.manifest.files.contains(path)) fault(path, "file-unlisted");
        }
    }
    bool has_fault(std::string_view kind) const {
        return std::any_of(reading_.faults.begin(), reading_.faults.end(),
                           [&](const Fault& fault) { return fault.kind == kind; });
    }

    Reading& reading_;
    FileTaker* taker_;
    std::vector<char> piece_;
};

}  // namespace

Reading read_archive(const std::string& path, const ReadOptions& options, FileTaker* taker) {
    Reading reading;
    Source source(path, options);
    reading.is_encrypted = source.is_encrypted;
    Reader reader(reading, taker);
    try {
        source.open();
        Tar tar(source);
        reader.read(tar);
    } catch (const Error& error) {
        // Of the cipher alone: anything else ends the reading.
        const bool is_cipher = error.slug() == "wrong-key" || error.slug() == "damaged";
        if (error.code() != Errc::corrupt || !is_cipher) throw;
        reader.fault({}, error.slug());
    }
    source.read_rest();
    reading.archive_sha256 = source.sum.finish_hex();
    reading.archive_size = source.at;
    return reading;
}

}  // namespace larder::backup
