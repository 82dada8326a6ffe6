#include "backup_imports.hpp"

#include <fmt/format.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <system_error>
#include <utility>

#include "backup_answers.hpp"
#include "backup_verify.hpp"
#include "larder/time.hpp"
#include "storage-kit/json.hpp"

namespace larder::backup {
namespace {

std::atomic<std::uint64_t> imports{0};

Error too_large(std::uint64_t limit) {
    return std::move(
        Error(Errc::too_large, "archive-too-large",
              fmt::format("an archive may have {} bytes; see backup.max_import", limit))
            .with("limit", std::to_string(limit)));
}

Error invalid_archive(const std::vector<Fault>& faults) {
    const std::string list = faults_json(faults);
    const std::size_t begin = list.find('[');
    return std::move(
        Error(Errc::unprocessable, "invalid-archive",
              fmt::format("this is no archive that could be restored: {}", faults.front().kind))
            .with("reason", storage::json::quoted(faults.front().kind))
            .with("faults", list.substr(begin, list.size() - begin - 1)));
}

class Import final : public Upload {
public:
    Import(const Site& site, std::shared_ptr<Cancel> cancel)
        : site_(site),
          cancel_(std::move(cancel)),
          limit_(site.options().max_import),
          folder_(site.catalog.staged(fmt::format("import-{}", ++imports))),
          path_(folder_ + "/archive") {
        std::error_code left;
        std::filesystem::remove_all(folder_, left);
        auto& files = storage::FileSystem::real();
        files.make_directory(folder_);
        file_ = files.create(path_);
    }
    ~Import() override { clear(); }

    void take(std::span<const std::byte> bytes) override {
        if (bytes.size() > limit_ - size_) throw too_large(limit_);
        const std::array<std::string_view, 1> parts = {
            std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size())};
        try {
            file_->write(size_, parts);
        } catch (const std::system_error& error) {
            throw disk_error(error);
        }
        size_ += bytes.size();
    }

    Response finish(const Headers& /*trailers*/) override {
        try {
            file_->sync_data();
            file_.reset();
            return list_it();
        } catch (const std::system_error& error) {
            throw disk_error(error);
        }
    }
    void abort() noexcept override { clear(); }

private:
    Response list_it() {
        Operation judging("import", "");
        const ReadOptions options{site_.options().key_file, [&](std::uint64_t) {
                                      if (cancel_->cancelled()) judging.cancel();
                                      judging.check();
                                  }};
        Reading reading;
        {
            Unpacker unpacker(folder_ + "/scratch", {}, judging);
            reading = read_archive(path_, options, &unpacker);
        }
        if (!reading.faults.empty()) throw invalid_archive(reading.faults);
        Manifest& manifest = reading.manifest;
        if (manifest.incremental && !site_.catalog.find(manifest.parent)) {
            throw invalid_archive({{manifest.parent, "missing-parent"}});
        }
        for (const Record& known : site_.catalog.all()) {
            if (known.archive_sha256 != reading.archive_sha256) continue;
            throw Error(Errc::conflict, "exists",
                        fmt::format("this archive is listed already, as {}", known.backup_id));
        }
        manifest.backup_id = site_.catalog.free_id(manifest.backup_id);
        Record record = record_of(manifest);
        record.is_encrypted = reading.is_encrypted;
        record.file_path = fmt::format("{}/{}.tar.gz{}", kFolder, record.backup_id,
                                       reading.is_encrypted ? ".enc" : "");
        record.size = reading.archive_size;
        record.archive_sha256 = reading.archive_sha256;
        record.verified_ms = unix_now_ms();
        const std::string staged =
            site_.catalog.staged(fmt::format("{}.imported", record.backup_id));
        auto& files = storage::FileSystem::real();
        files.rename(path_, staged);
        try {
            site_.catalog.add(record, manifest, staged);
        } catch (const std::exception&) {
            files.remove(staged);
            throw;
        }
        Response response = json_answer(201, record_json(record));
        response.headers.emplace_back("Location", url_of(record.backup_id));
        return response;
    }
    void clear() noexcept {
        file_.reset();
        std::error_code left;  // the next start clears it
        std::filesystem::remove_all(folder_, left);
    }

    const Site& site_;
    const std::shared_ptr<Cancel> cancel_;
    const std::uint64_t limit_;
    const std::string folder_, path_;
    std::unique_ptr<storage::File> file_;
    std::uint64_t size_ = 0;
};

}  // namespace

std::unique_ptr<Upload> begin_import(const Site& site, const Request& request,
                                     std::shared_ptr<Cancel> cancel) {
    const std::uint64_t limit = site.options().max_import;
    if (request.content_length().value_or(0) > limit) throw too_large(limit);
    try {
        return std::make_unique<Import>(site, std::move(cancel));
    } catch (const std::system_error& error) {
        throw disk_error(error);
    }
}

}  // namespace larder::backup
