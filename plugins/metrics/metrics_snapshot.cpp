#include "metrics_snapshot.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "larder/error.hpp"
#include "larder/time.hpp"
#include "storage-kit/atomic_file.hpp"
#include "storage-kit/file_system.hpp"
#include "storage-kit/snapshot_file.hpp"

namespace larder::metrics {
namespace {

namespace fs = std::filesystem;
using storage::FileSystem;
using storage::sqlite::Connection;
using storage::sqlite::Database;

constexpr const char* kFolder = "programs/db/";
constexpr const char* kScratch = "/programs/db/.moment/";

// Each database held by a read of its own, from pin() on.
class MetricsMoment final : public Moment {
public:
    MetricsMoment(MetricsCore& core, std::string data_directory)
        : data_directory_(std::move(data_directory)) {
        hold("metrics.db", core.metrics_database());
        hold("errors.db", core.errors_database());
        hold("audit.db", core.audit().database());
    }

    void write(SnapshotSink& sink) override {
        FileSystem& files = FileSystem::real();
        const std::string scratch = data_directory_ + kScratch;
        files.make_directory(scratch);
        for (Held& held : held_) {
            const std::string path = scratch + held.name;
            files.remove(path);
            held.connection->backup_to(path);
            held.connection.reset();
            storage::add_made_file(sink, kFolder + held.name, path, {});
        }
        std::error_code left;
        fs::remove_all(scratch, left);
    }

private:
    struct Held {
        std::string name;
        std::unique_ptr<Connection> connection;
    };
    void hold(std::string name, const Database& database) {
        auto connection =
            std::make_unique<Connection>(database.path(), Connection::Access::read_only);
        connection->hold_moment();
        held_.push_back({std::move(name), std::move(connection)});
    }

    const std::string data_directory_;
    std::vector<Held> held_;
};

// What a log of the replaced file would do to the new one.
void drop_leavings(FileSystem& files, const std::string& database) {
    files.remove(database + "-wal");
    files.remove(database + "-shm");
}

// The former file at its place again, unless it is there already.
void put_back(FileSystem& files, const std::string& from, const std::string& to, bool keep_other) {
    const std::string wanted = storage::read_file(files, from);
    if (files.exists(to)) {
        if (storage::read_file(files, to) == wanted) return;
        if (keep_other) {
            const std::string beside =
                fmt::format("{}.restored-{}.db", to.substr(0, to.size() - 3), unix_now_ms());
            files.rename(to, beside);
        }
    }
    storage::write_atomically(files, to, wanted);
}

}  // namespace

std::unique_ptr<Moment> pin(MetricsCore& core, std::string data_directory) {
    return std::make_unique<MetricsMoment>(core, std::move(data_directory));
}

std::string adopt(const std::string& data_directory, const std::string& previous) {
    FileSystem& files = FileSystem::real();
    const std::string now = data_directory + "/" + kFolder, before = previous + "/" + kFolder;
    std::string restored;
    for (const char* name : {"metrics.db", "errors.db"}) {
        if (!files.exists(before + name)) continue;
        drop_leavings(files, now + name);
        restored += (restored.empty() ? "" : ", ") + std::string(name);
    }
    if (!files.exists(before + "audit.db")) return restored;
    // The key goes with it, and the log that it may have left, in case it was not closed well.
    drop_leavings(files, now + "audit.db");
    put_back(files, before + "audit.db", now + "audit.db", true);
    for (const char* name : {"audit.head", "audit.db-wal"}) {
        if (files.exists(before + name)) put_back(files, before + name, now + name, false);
    }
    if (files.exists(before + "audit.key")) {
        // With its mode: nobody else may read it, not for a moment either.
        fs::copy_file(before + "audit.key", now + "audit.key",
                      fs::copy_options::overwrite_existing);
    }
    return restored + (restored.empty() ? "audit.db" : ", audit.db") + " (laid beside)";
}

}  // namespace larder::metrics
