// Contents: reading pinned files · what takes a snapshot: into an archive, hashes, owners · one
// moment of all · a backup from its parent to its record · the present state
#include "backup_maker.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <set>
#include <system_error>
#include <thread>

#include "backup_archive.hpp"
#include "backup_chain.hpp"
#include "backup_paths.hpp"
#include "backup_staged.hpp"
#include "larder/time.hpp"
#include "storage-kit/digest.hpp"

namespace larder::backup {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kPiece = 256U << 10U;
constexpr int kTries = 5;

std::size_t read_at(const FileRegion& file, std::uint64_t at, std::span<char> into) {
    const auto left =
        static_cast<std::size_t>(std::min<std::uint64_t>(file.length - at, into.size()));
    if (left == 0) return 0;
    for (;;) {
        const ssize_t got =
            ::pread(file.file->fd(), into.data(), left, static_cast<off_t>(file.offset + at));
        if (got >= 0) return static_cast<std::size_t>(got);
        if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "read");
    }
}

std::string sha256_of(const FileRegion& file, const Operation& operation) {
    storage::Sha256 sum;
    std::vector<char> piece(kPiece);
    for (std::uint64_t at = 0; at < file.length;) {
        operation.check();
        const std::size_t got = read_at(file, at, piece);
        if (got == 0) break;
        sum.update({piece.data(), got});
        at += got;
    }
    return sum.finish_hex();
}

std::int64_t modified_ms(const FileRegion& file) {
    struct stat status {};
    if (fstat(file.file->fd(), &status) != 0) return 0;
    return std::int64_t{status.st_mtim.tv_sec} * 1000 + status.st_mtim.tv_nsec / 1'000'000;
}

// Puts what plugins write into the archive, but what the parent has already.
class ArchiveSink final : public SnapshotSink {
public:
    // `wanted`: components; none: all.
    ArchiveSink(ArchiveWriter& archive, Manifest& manifest, Operation& operation,
                const Chain* parent, const std::vector<std::string>& wanted)
        : archive_(archive),
          manifest_(manifest),
          operation_(operation),
          parent_(parent),
          wanted_(wanted) {}

    void add_file(std::string_view path, FileRegion file, std::string_view known) override {
        const std::string name = accept(path);
        if (name.empty()) return;
        const FileEntry* const before = in_parent(name);
        const bool may_be_same = before != nullptr && before->size == file.length;
        if (may_be_same &&
            before->sha256 == (known.empty() ? sha256_of(file, operation_) : known)) {
            return;
        }
        std::uint64_t at = 0;
        add(name, file.length, modified_ms(file), known, [&](std::span<char> into) {
            const std::size_t got = read_at(file, at, into);
            at += got;
            return got;
        });
    }
    void add_bytes(std::string_view path, std::string bytes) override {
        const std::string name = accept(path);
        if (name.empty()) return;
        const FileEntry* const before = in_parent(name);
        if (before != nullptr && before->size == bytes.size()) {
            storage::Sha256 sum;
            sum.update(bytes);
            if (before->sha256 == sum.finish_hex()) return;
        }
        std::string_view left = bytes;
        add(name, bytes.size(), unix_now_ms(), {}, [&](std::span<char> into) {
            const std::size_t part = left.copy(into.data(), into.size());
            left.remove_prefix(part);
            return part;
        });
    }

    const std::set<std::string>& seen() const noexcept { return seen_; }

private:
    // The path in the archive; empty where it was not asked for.
    std::string accept(std::string_view path) {
        std::string name = archived_path(path);
        if (!is_inner_path(name)) {
            throw Error(Errc::internal, "internal", "a plugin gave a malformed path").because(name);
        }
        const bool is_wanted = wanted_.empty() || std::find(wanted_.begin(), wanted_.end(),
                                                            component_of(name)) != wanted_.end();
        if (!is_wanted) {
            return {};
        }
        if (!seen_.insert(name).second) {
            throw Error(Errc::internal, "internal", "two plugins gave the same path").because(name);
        }
        ++operation_.files;
        return name;
    }
    const FileEntry* in_parent(const std::string& name) const {
        if (parent_ == nullptr) return nullptr;
        const auto found = parent_->state.find(name);
        return found == parent_->state.end() ? nullptr : &found->second.file;
    }
    void add(const std::string& name, std::uint64_t size, std::int64_t modified,
             std::string_view known, const Spring& fill) {
        storage::Sha256 sum;
        archive_.add(name, size, modified, [&](std::span<char> into) {
            operation_.check();
            const std::size_t got = fill(into);
            sum.update({into.data(), got});
            operation_.bytes += got;
            return got;
        });
        FileEntry entry{size, sum.finish_hex(), modified};
        // It goes in as it is: a damaged file may be worth more than none.
        if (!known.empty() && known != entry.sha256) manifest_.damaged.push_back(name);
        manifest_.files.emplace(name, std::move(entry));
    }

    ArchiveWriter& archive_;
    Manifest& manifest_;
    Operation& operation_;
    const Chain* parent_;
    const std::vector<std::string>& wanted_;
    std::set<std::string> seen_;
};

class HashSink final : public SnapshotSink {
public:
    HashSink(FileMap& files, Operation& operation) : files_(files), operation_(operation) {}
    void add_file(std::string_view path, FileRegion file, std::string_view known) override {
        add(path, file.length, known.empty() ? sha256_of(file, operation_) : std::string(known));
    }
    void add_bytes(std::string_view path, std::string bytes) override {
        storage::Sha256 sum;
        sum.update(bytes);
        add(path, bytes.size(), sum.finish_hex());
    }

private:
    void add(std::string_view path, std::uint64_t size, std::string sha256) {
        if (path.ends_with(".meta")) return;
        files_.insert_or_assign(archived_path(path), FileEntry{size, std::move(sha256), 0});
    }
    FileMap& files_;
    Operation& operation_;
};

class OwnerSink final : public SnapshotSink {
public:
    OwnerSink(Owners& owners, std::string_view plugin) : owners_(owners), plugin_(plugin) {}
    void add_file(std::string_view path, FileRegion /*file*/, std::string_view /*known*/) override {
        owners_.insert_or_assign(archived_path(path), plugin_);
    }
    void add_bytes(std::string_view path, std::string /*bytes*/) override {
        owners_.insert_or_assign(archived_path(path), plugin_);
    }

private:
    Owners& owners_;
    const std::string plugin_;
};

std::unique_ptr<Snapshot> moment_of_all(Host& host, const Operation& operation) {
    for (int tries = 1;; ++tries) {
        operation.check();
        try {
            return host.maintenance().snapshot();
        } catch (const Error& error) {
            if (error.slug() != "not-held" || tries == kTries) throw;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(100 * tries));
    }
}

void write_all(Snapshot& snapshot, SnapshotSink& sink) {
    for (std::size_t i = 0; i < snapshot.size(); ++i) snapshot.moment(i).write(sink);
}

void add_manifest(ArchiveWriter& archive, const Manifest& manifest) {
    const std::string text = manifest.json();
    std::string_view left = text;
    archive.add(std::string(kManifestName), text.size(), manifest.created_ms,
                [&](std::span<char> into) {
                    const std::size_t part = left.copy(into.data(), into.size());
                    left.remove_prefix(part);
                    return part;
                });
}

double ratio_of(std::uint64_t packed, std::uint64_t plain) {
    return plain == 0 ? 1.0 : static_cast<double>(packed) / static_cast<double>(plain);
}

}  // namespace

Record parent_for(const Catalog& catalog, const std::vector<std::string>& components) {
    const auto records = catalog.all();
    const auto fits = [&](const Record& record) {
        const auto& has = record.components;
        const bool has_all =
            !record.is_partial ||
            (!components.empty() &&
             std::all_of(components.begin(), components.end(), [&](const auto& component) {
                 return std::find(has.begin(), has.end(), component) != has.end();
             }));
        return !record.is_damaged && has_all;
    };
    const auto found = std::find_if(records.rbegin(), records.rend(), fits);
    if (found == records.rend()) {
        throw Error(
            Errc::conflict, "no-parent",
            "there is no backup that an incremental one could be based on; make a full one");
    }
    return *found;
}

Record make_backup(const Site& site, Operation& operation, const Wanted& wanted) {
    const auto began = Clock::now();
    const Options options = site.options();
    Manifest manifest;
    manifest.backup_id = operation.backup_id;
    manifest.incremental = wanted.incremental;
    manifest.partial = !wanted.components.empty();
    manifest.components = wanted.components;
    manifest.note = wanted.note;
    std::optional<Chain> parent;
    if (wanted.incremental) {
        parent = chain_of(site.catalog, parent_for(site.catalog, wanted.components));
        manifest.parent = parent->links.back().backup_id;
    }
    std::optional<Secret> secret;
    if (wanted.encrypt) secret = Secret::read(options.key_file);

    operation.phase("snapshot");
    auto snapshot = moment_of_all(site.host, operation);
    manifest.created_ms = unix_now_ms();
    manifest.pause_us = snapshot->pause().count();
    for (std::size_t i = 0; i < snapshot->size(); ++i) {
        manifest.plugins.emplace_back(snapshot->plugin(i));
    }
    operation.phase("archive");
    const Staged staged(site.catalog.staged(operation.backup_id + ".new"));
    ArchiveWriter archive(staged.path(), secret ? &*secret : nullptr);
    ArchiveSink sink(archive, manifest, operation, parent ? &*parent : nullptr, wanted.components);
    write_all(*snapshot, sink);
    snapshot.reset();
    if (parent) {
        for (const auto& [path, source] : parent->state) {
            if (!sink.seen().contains(path)) manifest.deleted.push_back(path);
        }
    }
    if (!manifest.partial) {
        std::set<std::string> components;
        for (const std::string& path : sink.seen()) components.insert(component_of(path));
        manifest.components.assign(components.begin(), components.end());
    }
    manifest.compression_ratio = ratio_of(archive.written(), manifest.total_size());
    add_manifest(archive, manifest);
    const ArchiveWriter::Result result = archive.finish();
    operation.check();

    Record record = record_of(manifest);
    record.file_path =
        fmt::format("{}/{}.tar.gz{}", kFolder, manifest.backup_id, secret ? ".enc" : "");
    record.size = result.size;
    record.archive_sha256 = result.sha256;
    record.is_encrypted = secret.has_value();
    record.compression_ratio = ratio_of(result.size, manifest.total_size());
    record.duration = std::chrono::duration<double>(Clock::now() - began).count();
    site.catalog.add(record, manifest, staged.path());
    for (const std::string& path : manifest.damaged) {
        site.host.log().write(Level::warning,
                              fmt::format("{} has {} as it is, which is not as it was stored",
                                          record.backup_id, path));
    }
    return record;
}

FileMap present_state(Host& host, Operation& operation) {
    FileMap files;
    HashSink sink(files, operation);
    const auto snapshot = moment_of_all(host, operation);
    write_all(*snapshot, sink);
    return files;
}

Owners present_owners(Host& host, const Operation& operation) {
    Owners owners;
    const auto snapshot = moment_of_all(host, operation);
    for (std::size_t i = 0; i < snapshot->size(); ++i) {
        OwnerSink sink(owners, snapshot->plugin(i));
        snapshot->moment(i).write(sink);
    }
    return owners;
}

}  // namespace larder::backup
