#include "programs_uploads.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "main_file.hpp"
#include "programs_route_texts.hpp"
#include "storage-kit/answers.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/json_members.hpp"
#include "storage-kit/multipart.hpp"
#include "storage-kit/staged_file.hpp"
#include "zip_reader.hpp"

namespace larder::programs {
namespace {

using storage::MultipartReader;
using storage::PartHead;

constexpr std::uint64_t kMostScript = 32U << 20U, kMostArchive = 64U << 20U;
constexpr std::uint64_t kMostBody = kMostArchive + (1U << 20U);
constexpr std::size_t kMostName = 200, kMostLarderJson = 64U << 10U;

std::string lower(std::string_view text) {
    std::string folded(text);
    for (char& c : folded) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    }
    return folded;
}

// A file that is gone with this.
class Received {
public:
    explicit Received(const std::string& path) : file(path, true) {}
    ~Received() { ::unlink(file.path().c_str()); }
    Received(const Received&) = delete;
    Received& operator=(const Received&) = delete;

    storage::StagedFile file;
};

class ProgramUpload final : public Upload, private MultipartReader::Listener {
public:
    ProgramUpload(ProgramStore& store, std::string_view boundary)
        : store_(store), room_(store), reader_(boundary, *this) {}

    void take(std::span<const std::byte> bytes) override {
        try {
            reader_.push({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
        } catch (const std::system_error& error) {
            throw disk_error(error);
        }
    }

    Response finish(const Headers& /*trailers*/) override {
        reader_.finish();
        if (!file_) {
            throw Error(Errc::bad_request, "no-file",
                        "the form has no part named file that has a filename");
        }
        try {
            const Record record = is_archive_ ? store_project() : store_script();
            Response response = storage::json_answer(201, record_json(record));
            response.headers.emplace_back("Location", "/api/programs/" + record.id);
            return response;
        } catch (const std::system_error& error) {
            throw disk_error(error);
        }
    }

    void abort() noexcept override { file_.reset(); }

private:
    enum class Taking : std::uint8_t { nothing = 1, file, project_name };

    void begin_part(PartHead&& head) override;
    void part_bytes(std::string_view bytes) override;
    void end_part() override {}
    Record store_script();
    Record store_project();
    std::string larder_json(ZipReader& zip) const;
    std::string project_name() const;

    ProgramStore& store_;
    ProgramStore::Room room_;
    MultipartReader reader_;
    Taking taking_ = Taking::nothing;
    std::unique_ptr<Received> file_;
    std::string original_name_, project_name_;
    bool is_archive_ = false;
};

void ProgramUpload::begin_part(PartHead&& head) {
    taking_ = Taking::nothing;
    if (head.name == "project_name" && !head.filename) {
        taking_ = Taking::project_name;
        project_name_.clear();
    }
    if (head.name != "file" || !head.filename || head.filename->empty()) return;
    if (file_) {
        throw Error(Errc::bad_request, "several-files", "a program is uploaded by itself");
    }
    taking_ = Taking::file;
    original_name_ = head.filename->substr(head.filename->find_last_of("/\\") + 1);
    if (original_name_.size() > kMostName) {
        original_name_.erase(0, original_name_.size() - kMostName);  // the extension counts
    }
    const std::string name = lower(original_name_);
    is_archive_ = name.ends_with(".zip");
    if (!is_archive_ && language_of(name).empty()) {
        throw Error(Errc::unsupported_media, "unsupported-program",
                    "a program is a .py, .sh or .js file, or a .zip of them");
    }
    file_ = std::make_unique<Received>(store_.new_staging_path());
}

void ProgramUpload::part_bytes(std::string_view bytes) {
    if (taking_ == Taking::project_name) {
        project_name_ += bytes;
        if (project_name_.size() > kMostName) {
            throw storage::json::invalid_field(
                "/project_name", fmt::format("project_name has at most {} bytes", kMostName));
        }
    }
    if (taking_ != Taking::file) return;
    const std::uint64_t most = is_archive_ ? kMostArchive : kMostScript;
    if (file_->file.size() + bytes.size() > most) {
        throw Error(Errc::too_large, "file-too-large", fmt::format("it may have {} bytes", most))
            .with("limit", std::to_string(most));
    }
    if (!is_archive_) room_.add(bytes.size());
    file_->file.append(bytes);
}

Record ProgramUpload::store_script() {
    Record record;
    record.original_name = original_name_;
    record.filename = record.main_file = safe_script_name(original_name_);
    record.size = file_->file.size();
    StagedFolder folder(store_.new_staging_path());
    folder.make_file(record.filename, [&](const auto& write) { file_->file.read_from(0, write); });
    return store_.publish(std::move(record), folder, false);
}

std::string ProgramUpload::project_name() const {
    if (project_name_.empty()) return original_name_.substr(0, original_name_.size() - 4);
    const bool is_plain = std::none_of(project_name_.begin(), project_name_.end(), [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
    });
    if (is_plain && storage::json::invalid_utf8(project_name_) == std::string::npos) {
        return project_name_;
    }
    throw storage::json::invalid_field("/project_name",
                                       "project_name is UTF-8 without control characters");
}

std::string ProgramUpload::larder_json(ZipReader& zip) const {
    std::string text;
    for (const ZipEntry& entry : zip.entries()) {
        if (entry.path != "larder.json" || entry.is_folder) continue;
        if (entry.size > kMostLarderJson) throw invalid_archive("larder.json is too long");
        zip.unpack(entry, [&](std::string_view bytes) { text += bytes; });
    }
    return text;
}

Record ProgramUpload::store_project() {
    const auto read = [this](std::uint64_t at, std::size_t size, char* into) {
        file_->file.read(at, size, into);
    };
    ZipReader zip(file_->file.size(), read);
    Record record;
    record.original_name = original_name_;
    record.filename = project_name();
    std::vector<std::string> paths;
    std::set<std::string> topmost;
    for (const ZipEntry& entry : zip.entries()) {
        const std::size_t slash = entry.path.find('/');
        const bool is_inner = slash != std::string::npos;
        topmost.insert(entry.path.substr(0, slash) + (is_inner || entry.is_folder ? "/" : ""));
        if (entry.is_folder) continue;
        paths.push_back(entry.path);
        record.size += entry.size;
    }
    if (paths.empty()) throw invalid_archive("it holds no file");
    room_.add(record.size);
    record.file_count = paths.size();
    for (const std::string& name : topmost) {
        if (record.files.size() < kMostListedFiles) record.files.push_back(name);
    }
    std::string declared;
    if (const std::string text = larder_json(zip); !text.empty()) {
        declared = declared_main_file(text);
    }
    const bool is_there = std::find(paths.begin(), paths.end(), declared) != paths.end();
    if (!declared.empty() && (!is_there || language_of(declared).empty())) {
        throw invalid_archive("main_file in larder.json is no .py, .sh or .js file of the project");
    }
    MainFile main = find_main_file(paths, declared);
    record.main_file = std::move(main.file);
    record.main_file_reason = std::move(main.reason);
    record.main_file_candidates = std::move(main.candidates);

    ZipReader again(file_->file.size(), read);  // counts from the start
    StagedFolder folder(store_.new_staging_path());
    for (const ZipEntry& entry : again.entries()) {
        if (entry.is_folder) {
            folder.make_folder(entry.path);
        } else {
            folder.make_file(entry.path, [&](const auto& write) { again.unpack(entry, write); });
        }
    }
    return store_.publish(std::move(record), folder, true);
}

}  // namespace

std::string safe_script_name(std::string_view sent) {
    std::string name;
    for (const char c : sent) {
        const auto byte = static_cast<unsigned char>(c);
        const bool is_plain = byte >= 0x80 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                              (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-' ||
                              c == ' ' || c == '+';
        name += is_plain ? c : '_';
    }
    if (storage::json::invalid_utf8(name) != std::string::npos) {
        for (char& c : name) {
            if (static_cast<unsigned char>(c) >= 0x80) c = '_';
        }
    }
    const std::size_t dot = name.rfind('.');
    const std::string extension = lower(std::string_view(name).substr(dot));
    std::string base = name.substr(0, dot);
    while (base.starts_with('.') || base.starts_with('-') || base.starts_with(' '))
        base.erase(0, 1);
    return (base.empty() ? "program" : base) + extension;
}

void UploadRoutes::declare(Routes& routes) {
    routes.upload({.method = Method::post,
                   .pattern = "/api/programs",
                   .permission = Permission::write,
                   .summary = "Store the form's file as a program, or as a project if it is a ZIP",
                   .media_types = "multipart/form-data",
                   .max_body = kMostBody,
                   .answers = "201 application/json",
                   .answer_schema = kProgramSchema,
                   .answer_headers = "Location: where the program is",
                   .problems = kUploadProblems},
                  [this](const Request& request, const std::shared_ptr<Cancel>&) {
                      return std::make_unique<ProgramUpload>(
                          store_,
                          storage::boundary_of(request.header("Content-Type").value_or("")));
                  });
}

}  // namespace larder::programs
