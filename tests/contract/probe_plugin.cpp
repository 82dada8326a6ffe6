// Drives the daemon's maintenance by hand, for tests: takes a snapshot into a folder, swaps files
// under other plugins. What a backup plugin does, without archives.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "larder/export.hpp"

namespace {

using namespace larder;

// Puts what a snapshot holds into a folder, laid out as in the data directory.
class FolderSink final : public SnapshotSink {
public:
    explicit FolderSink(std::filesystem::path folder) : folder_(std::move(folder)) {}
    void add_file(std::string_view path, FileRegion file, std::string_view /*sha*/) override {
        std::string bytes(file.length, '\0');
        std::size_t have = 0;
        while (have < bytes.size()) {
            const ssize_t got = pread(file.file->fd(), bytes.data() + have, bytes.size() - have,
                                      static_cast<off_t>(file.offset + have));
            if (got <= 0) throw Error(Errc::io_failed, "cut", "a file was cut");
            have += static_cast<std::size_t>(got);
        }
        add_bytes(path, std::move(bytes));
    }
    void add_bytes(std::string_view path, std::string bytes) override {
        std::filesystem::create_directories((folder_ / path).parent_path());
        std::ofstream(folder_ / path, std::ios::binary) << bytes;
    }

private:
    const std::filesystem::path folder_;
};

class Probe final : public Plugin {
public:
    explicit Probe(Host& host) : host_(host) {}

    void configure(const Settings& /*settings*/) override {}
    void start(Routes& routes) override {
        const auto route = [](std::string_view pattern, std::string_view summary,
                              std::string_view queries) {
            return Route{.method = Method::post,
                         .pattern = pattern,
                         .permission = Permission::admin,
                         .summary = summary,
                         .queries = queries,
                         .answers = "200 text/plain"};
        };
        routes.blocking(
            route("/api/probe/snapshot", "Write one folder a plugin below `into`", "into"),
            [this](const Request& ask) { return snapshot(*ask.query("into")); });
        routes.blocking(route("/api/probe/swap", "Put each `staged` in the place of its `path`",
                              "path+,staged+"),
                        [this](const Request& ask) { return swap(ask); });
    }
    void drain() noexcept override {}
    void stop() noexcept override {}

private:
    // Answers with the plugins that took part, one a line.
    Response snapshot(std::string_view into) {
        const auto taken = host_.maintenance().snapshot();
        std::string names;
        for (std::size_t i = 0; i < taken->size(); ++i) {
            const std::string name(taken->plugin(i));
            FolderSink sink(std::filesystem::path(host_.data_directory()) / into / name);
            taken->moment(i).write(sink);
            names += name + "\n";
        }
        return text(names);
    }
    Response swap(const Request& ask) {
        std::vector<SwapItem> plan;
        const auto paths = ask.queries("path"), staged = ask.queries("staged");
        for (std::size_t i = 0; i < paths.size(); ++i) {
            plan.push_back({std::string(paths[i]), std::string(staged.at(i))});
        }
        host_.maintenance().swap(plan);
        return text("swapped");
    }
    static Response text(std::string body) {
        Response response;
        response.headers.emplace_back("Content-Type", "text/plain");
        response.body = std::move(body);
        return response;
    }

    Host& host_;
};

constinit const PluginEntry kEntry = {
    "probe",
    "1",
    "drives snapshots and restores by hand, for tests",
    "/api/probe",
    "probe/",
    nullptr,
    0,
    [](Host& host) -> Plugin* { return new Probe(host); },
    [](Plugin* plugin) noexcept { delete static_cast<Probe*>(plugin); },
};

}  // namespace

LARDER_PLUGIN(kEntry)
