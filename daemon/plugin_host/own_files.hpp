// What the daemon keeps itself, in backups and restores: which plugins were chosen, when jobs ran,
// who may do what. Not their reading and writing, which is each one's own.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "larder/snapshot.hpp"

namespace larder::plugin_host {

// A file in the data directory, and what its keeper does around a restore of it.
struct OwnFile {
    std::string name;
    std::function<void(const std::string& path)> check;  // throws where it is no such file
    std::function<void(bool on)> hold;  // true: returns when nobody writes it, until false
    std::function<void()> take_over;    // reads it anew, held; throws and keeps what it has
};

// Takes part in snapshots like a plugin. These files are small and only ever replaced whole, so
// that an open descriptor is a pinned state and nobody has to be held.
class OwnFiles final : public Snapshotable {
public:
    OwnFiles(std::string data_directory, std::vector<OwnFile> files)
        : directory_(std::move(data_directory)), files_(std::move(files)) {}

    void hold(bool on) noexcept override;
    std::unique_ptr<Moment> pin() override;
    // Throws Error{conflict}: nobody stops the daemon for them, see Restore.
    void adopt(std::string_view previous) override;

    const OwnFile* find(std::string_view name) const noexcept;

    // Holds those among `paths`, to the end of a scope. [worker, one thread]
    class Restore {
    public:
        Restore(const OwnFiles& own, const std::vector<std::string>& paths);
        ~Restore();
        Restore(const Restore&) = delete;
        Restore& operator=(const Restore&) = delete;
        // Throws Error, std::system_error.
        void take_over();

    private:
        std::vector<const OwnFile*> held_;
    };

private:
    const std::string directory_;
    const std::vector<OwnFile> files_;
};

}  // namespace larder::plugin_host
