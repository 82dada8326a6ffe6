#include "backup_manifest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "backup_members.hpp"
#include "backup_paths.hpp"
#include "larder/error.hpp"
#include "larder/time.hpp"
#include "storage-kit/digest.hpp"
#include "storage-kit/json.hpp"

namespace larder::backup {
namespace {

namespace json = storage::json;

Error corrupt(const std::string& why) {
    return {Errc::corrupt, "manifest",
            fmt::format("the manifest is not as it was written: {}", why)};
}

bool is_sha256(std::string_view text) {
    return text.size() == 64 &&
           text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

FileMap read_files(std::string_view text) {
    if (!text.starts_with('[')) throw corrupt("its files are no array");
    FileMap files;
    for (json::Walk walk(text); walk.next();) {
        const Members file(walk.value());
        FileEntry entry{whole_of(file, "size"), text_of(file, "checksum"),
                        time_of(file, "modified")};
        const std::string path = text_of(file, "path");
        if (!is_inner_path(path)) throw corrupt("a path leads out of the archive");
        if (!is_sha256(entry.sha256)) throw corrupt("a file has no checksum");
        if (!files.emplace(path, std::move(entry)).second) throw corrupt("a file stands twice");
    }
    return files;
}

}  // namespace

std::uint64_t Manifest::total_size() const {
    return std::accumulate(
        files.begin(), files.end(), std::uint64_t{0},
        [](std::uint64_t sum, const auto& file) { return sum + file.second.size; });
}

std::string Manifest::checksum() const {
    storage::Sha256 sum;
    std::string line;
    for (const auto& [path, file] : files) {
        line.assign(path).append(1, '\0').append(std::to_string(file.size)).append(1, '\0');
        line.append(file.sha256).append(1, '\n');
        sum.update(line);
    }
    return sum.finish_hex();
}

std::string file_members(const Manifest& manifest) {
    std::string out = "\"files\":[";
    for (const auto& [path, file] : manifest.files) {
        out += out.back() == '}' ? ",\n" : "\n";
        out += fmt::format(R"({{"path":{},"size":{},"checksum":"{}","modified":"{}"}})",
                           json::quoted(path), file.size, file.sha256, rfc3339(file.modified_ms));
    }
    return out + fmt::format("],\n\"deleted\":{},\"damaged\":{}", json_list(manifest.deleted),
                             json_list(manifest.damaged));
}

std::string Manifest::json() const {
    return fmt::format(
        "{{\"backup_id\":{},\"created_at\":\"{}\",\"type\":\"{}\",\n\"parent\":{},"
        "\"partial\":{},\"components\":{},\"plugins\":{},\"note\":{},\n\"total_size\":{},\"total_"
        "files\":{},"
        "\"compression_ratio\":{:.4f},\"pause\":{:.6f},\n\"checksum\":\"{}\","
        "\"integrity_verified\":false,\n{}}}\n",
        json::quoted(backup_id), rfc3339(created_ms), incremental ? "incremental" : "full",
        text_or_null(parent), partial, json_list(components), json_list(plugins),
        json::quoted(note), total_size(), files.size(), compression_ratio,
        static_cast<double>(pause_us) / 1e6, checksum(), file_members(*this));
}

Manifest read_manifest(std::string_view text) {
    try {
        json::check(text);
        const Members body(text);
        Manifest manifest;
        manifest.backup_id = text_of(body, "backup_id");
        manifest.created_ms = time_of(body, "created_at");
        manifest.incremental = text_of(body, "type") == "incremental";
        manifest.parent = text_of(body, "parent");
        manifest.partial = flag_of(body, "partial");
        manifest.components = body.texts("components");
        manifest.plugins = body.texts("plugins");
        manifest.note = text_of(body, "note");
        manifest.compression_ratio = body.number("compression_ratio").value_or(0);
        manifest.pause_us =
            std::llround(std::clamp(body.number("pause").value_or(0), 0.0, 86400.0) * 1e6);
        manifest.files = read_files(body.value("files").value_or("[]"));
        manifest.deleted = body.texts("deleted");
        manifest.damaged = body.texts("damaged");
        if (!is_backup_id(manifest.backup_id)) throw corrupt("it names no backup");
        if (manifest.incremental && !is_backup_id(manifest.parent)) throw corrupt("no parent");
        if (manifest.checksum() != text_of(body, "checksum")) throw corrupt("its checksum differs");
        return manifest;
    } catch (const json::InvalidJson& error) {
        throw corrupt(error.what());
    } catch (const Error& error) {
        if (error.code() == Errc::corrupt) throw;
        throw corrupt(error.detail());
    }
}

}  // namespace larder::backup
