#include "admin/storage_routes.hpp"

#include <filesystem>
#include <map>
#include <system_error>

#include "admin/answer_schemas.hpp"
#include "admin/answers.hpp"
#include "larder/usage.hpp"

namespace larder::admin {
namespace {

namespace fs = std::filesystem;

// The sections of one plugin, taken over as a whole when it has told all of them.
class Sections final : public UsageSink {
public:
    void section(std::string_view name) override { sections.emplace_back(name, object()); }
    void count(std::string_view name, std::uint64_t value) override { set(name, value); }
    void percent(std::string_view name, double value) override { set(name, value); }

    std::vector<std::pair<std::string, Object>> sections;

private:
    void set(std::string_view name, const Poco::Dynamic::Var& value) {
        if (sections.empty()) {
            throw Error(Errc::internal, "no-section", "a figure came before its section");
        }
        sections.back().second.set(std::string(name), value);
    }
};

}  // namespace

std::uint64_t bytes_below(const std::string& folder) {
    std::uint64_t bytes = 0;
    std::error_code fault;
    fs::recursive_directory_iterator place(folder, fs::directory_options::skip_permission_denied,
                                           fault);
    for (; !fault && place != fs::recursive_directory_iterator(); place.increment(fault)) {
        std::error_code gone;
        if (!place->is_regular_file(gone) || place->is_symlink(gone)) continue;
        const std::uintmax_t size = place->file_size(gone);
        if (!gone) bytes += size;
    }
    return bytes;
}

void StorageRoutes::declare(Routes& routes) {
    routes.blocking({.method = Method::get,
                     .pattern = "/api/storage/usage",
                     .permission = Permission::read,
                     .summary = "What is stored, by kind, and how much room is left",
                     .answer_schema = kUsageSchema,
                     .problems = "500 storage-failed"},
                    [this](const Request& request) { return usage(request); });
}

Response StorageRoutes::usage(const Request& /*request*/) const {
    Object body = object();
    plugins_.with_each_power(kUsage, [&](const std::string& /*plugin*/, void* power) {
        Sections told;
        static_cast<Usage*>(power)->measure(told);
        for (const auto& [name, figures] : told.sections) body.set(name, figures);
    });
    body.set("total", bytes_below(data_directory_));
    std::error_code fault;
    const fs::space_info space = fs::space(data_directory_, fault);
    if (fault) {
        throw Error(Errc::io_failed, "storage-failed",
                    "the file system cannot be asked for its size")
            .because(data_directory_ + ": " + fault.message());
    }
    Object system = object();
    system.set("size", space.capacity);
    system.set("free", space.free);
    system.set("available", space.available);  // to others than root
    body.set("file_system", system);
    return json(body);
}

}  // namespace larder::admin
