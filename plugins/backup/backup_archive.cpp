#include "backup_archive.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <optional>
#include <thread>
#include <vector>

#include "backup_gzip.hpp"
#include "larder/error.hpp"
#include "storage-kit/digest.hpp"
#include "storage-kit/file_system.hpp"

namespace larder::backup {
namespace {

constexpr std::size_t kPiece = 256U << 10U;

struct FreeEntry {
    void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};

}  // namespace

class ArchiveWriter::Impl {
public:
    Impl(const std::string& path, const Secret* secret)
        : file_(storage::FileSystem::real().create(path)), piece_(kPiece) {
        if (secret != nullptr) {
            sealer_.emplace(*secret, [this](std::string_view bytes) { to_disk(bytes); });
        }
        gzip_.emplace(std::thread::hardware_concurrency(), [this](std::string_view bytes) {
            sealer_ ? sealer_->write(bytes) : to_disk(bytes);
        });
        tar_ = archive_write_new();
        // GNU's form: names of any length and bytes, without a conversion that hangs on a locale.
        const bool ready =
            tar_ != nullptr && archive_write_set_format_gnutar(tar_) == ARCHIVE_OK &&
            archive_write_set_bytes_per_block(tar_, kPiece) == ARCHIVE_OK &&
            archive_write_set_bytes_in_last_block(tar_, 512) == ARCHIVE_OK &&
            archive_write_open(tar_, this, nullptr, &Impl::take, nullptr) == ARCHIVE_OK;
        if (!ready) fail("archive_write_open");
    }
    ~Impl() {
        if (tar_ == nullptr) return;
        archive_write_fail(tar_);
        archive_write_free(tar_);
    }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void add(const std::string& path, std::uint64_t size, std::int64_t modified_ms,
             const Spring& fill) {
        const std::unique_ptr<archive_entry, FreeEntry> entry(archive_entry_new());
        if (!entry) fail("archive_entry_new");
        archive_entry_set_pathname(entry.get(), path.c_str());
        archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size));
        archive_entry_set_filetype(entry.get(), AE_IFREG);
        archive_entry_set_perm(entry.get(), 0640);
        archive_entry_set_mtime(entry.get(), modified_ms / 1000, 0);
        if (archive_write_header(tar_, entry.get()) != ARCHIVE_OK) fail("archive_write_header");
        for (std::uint64_t left = size; left > 0;) {
            const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(left, kPiece));
            const std::size_t got = fill(std::span(piece_).first(most));
            if (got == 0) {
                throw Error(Errc::io_failed, "storage-failed",
                            "a file was shorter than it was when the backup began")
                    .because(path);
            }
            if (archive_write_data(tar_, piece_.data(), got) != static_cast<la_ssize_t>(got)) {
                fail("archive_write_data");
            }
            left -= got;
        }
    }
    std::uint64_t written() const noexcept { return size_; }
    Result finish() {
        if (archive_write_close(tar_) != ARCHIVE_OK) fail("archive_write_close");
        gzip_->finish();
        if (sealer_) sealer_->finish();
        file_->sync_data();
        return {size_, sum_.finish_hex()};
    }

private:
    // libarchive is C: what is thrown below it is carried around it.
    static la_ssize_t take(archive* tar, void* self, const void* bytes, std::size_t size) {
        auto& writer = *static_cast<Impl*>(self);
        try {
            writer.gzip_->write({static_cast<const char*>(bytes), size});
            return static_cast<la_ssize_t>(size);
        } catch (const std::exception&) {
            writer.fault_ = std::current_exception();
            archive_set_error(tar, EIO, "see the fault");
            return -1;
        }
    }
    [[noreturn]] void fail(const char* doing) {
        if (fault_) std::rethrow_exception(fault_);
        const char* const why = tar_ == nullptr ? nullptr : archive_error_string(tar_);
        throw Error(Errc::internal, "internal", "the archive could not be written")
            .because(std::string(doing) + ": " + (why == nullptr ? "out of memory" : why));
    }
    void to_disk(std::string_view bytes) {
        sum_.update(bytes);
        const std::array<std::string_view, 1> parts = {bytes};
        file_->write(size_, parts);
        size_ += bytes.size();
    }

    std::unique_ptr<storage::File> file_;
    std::uint64_t size_ = 0;
    storage::Sha256 sum_;
    std::optional<Sealer> sealer_;
    std::optional<GzipWriter> gzip_;
    archive* tar_ = nullptr;
    std::exception_ptr fault_;
    std::vector<char> piece_;
};

ArchiveWriter::ArchiveWriter(const std::string& path, const Secret* secret)
    : impl_(std::make_unique<Impl>(path, secret)) {}
ArchiveWriter::~ArchiveWriter() = default;
void ArchiveWriter::add(const std::string& path, std::uint64_t size, std::int64_t modified_ms,
                        const Spring& fill) {
    impl_->add(path, size, modified_ms, fill);
}
std::uint64_t ArchiveWriter::written() const noexcept { return impl_->written(); }
ArchiveWriter::Result ArchiveWriter::finish() { return impl_->finish(); }

}  // namespace larder::backup
