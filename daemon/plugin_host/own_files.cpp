#include "plugin_host/own_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

namespace larder::plugin_host {
namespace {

class OpenedFiles final : public Moment {
public:
    OpenedFiles(const std::string& directory, const std::vector<OwnFile>& own) {
        for (const auto& [name, check, hold, take_over] : own) {
            const std::string path = fmt::format("{}/{}", directory, name);
            auto file = std::make_shared<FileHandle>(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
            if (file->fd() < 0) {
                if (errno == ENOENT) continue;
                throw std::system_error(errno, std::generic_category(), path);
            }
            struct stat status {};
            if (fstat(file->fd(), &status) != 0) {
                throw std::system_error(errno, std::generic_category(), path);
            }
            files_.emplace_back(
                name, FileRegion{std::move(file), 0, static_cast<std::uint64_t>(status.st_size)});
        }
    }
    void write(SnapshotSink& sink) override {
        for (auto& [name, region] : files_) sink.add_file(name, region, {});
    }

private:
    std::vector<std::pair<std::string, FileRegion>> files_;
};

}  // namespace

void OwnFiles::hold(bool /*on*/) noexcept {}

std::unique_ptr<Moment> OwnFiles::pin() {
    return std::make_unique<OpenedFiles>(directory_, files_);
}

void OwnFiles::adopt(std::string_view /*previous*/) {
    throw Error(Errc::conflict, "restore-failed", "the daemon's own files are no plugin's");
}

const OwnFile* OwnFiles::find(std::string_view name) const noexcept {
    const auto found = std::find_if(files_.begin(), files_.end(),
                                    [&](const OwnFile& file) { return file.name == name; });
    return found == files_.end() ? nullptr : &*found;
}

OwnFiles::Restore::Restore(const OwnFiles& own, const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
        const OwnFile* const file = own.find(path);
        if (file == nullptr) continue;
        file->hold(true);
        held_.push_back(file);
    }
}

OwnFiles::Restore::~Restore() {
    for (const OwnFile* const file : held_) file->hold(false);
}

void OwnFiles::Restore::take_over() {
    for (const OwnFile* const file : held_) file->take_over();
}

}  // namespace larder::plugin_host
