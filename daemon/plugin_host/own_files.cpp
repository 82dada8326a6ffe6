#include "plugin_host/own_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

namespace larder::plugin_host {
namespace {

constexpr std::array<const char*, 3> kNames = {"plugins.json", "users.json", "jobs.json"};

class OpenedFiles final : public Moment {
public:
    explicit OpenedFiles(const std::string& directory) {
        for (const char* name : kNames) {
            const std::string path = directory + "/" + name;
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

std::unique_ptr<Moment> OwnFiles::pin() { return std::make_unique<OpenedFiles>(directory_); }

void OwnFiles::adopt(std::string_view /*previous*/) {
    throw Error(Errc::conflict, "restore-failed", "the daemon's own files are not swapped");
}

}  // namespace larder::plugin_host
