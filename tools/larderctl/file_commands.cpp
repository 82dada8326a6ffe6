// The commands about files: put, get, list, info, delete, verify. What goes over the wire is hashed
// here as well, so that no transfer is taken for whole that is not.
#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <system_error>

#include "command.hpp"
#include "progress.hpp"
#include "storage-kit/digest.hpp"
#include "storage-kit/json.hpp"
#include "table.hpp"

namespace larder::ctl {
namespace {

namespace fs = std::filesystem;

constexpr int kSilence = 120;  // seconds

std::string path_of(const std::string& name) { return "/api/files/" + escaped(name); }

void print_line(const std::string& text) {
    std::cout << text << (text.ends_with('\n') ? "" : "\n");
}

void put_one(const Context& context, const Client& client, const std::string& file) {
    std::error_code fault;
    const std::uint64_t size = fs::file_size(file, fault);
    std::ifstream bytes(file, std::ios::binary);
    if (fault || !bytes) {
        throw LocalError(
            fmt::format("{} cannot be read: {}", file, fault ? fault.message() : strerror(errno)));
    }
    const std::string name =
        context.words.value("--name").value_or(fs::path(file).filename().string());
    storage::Sha256 sha;
    Answer answer;
    try {
        Progress progress(name, size);
        answer = client.upload("PUT", path_of(name), bytes, size, {}, [&](std::string_view block) {
            sha.update(block);
            progress.add(block.size());
        });
    } catch (const std::runtime_error& error) {
        throw LocalError(fmt::format("{}: {}", file, error.what()));
    }
    if (answer.header("etag") != fmt::format("\"{}\"", sha.finish_hex())) {
        throw Unreachable(fmt::format("what larderd stored of {} is not what was sent", file));
    }
    if (context.json) return print_line(answer.body);
    const std::string url = answer.header("location");
    const auto record = client.object("GET", url + "/metadata");
    std::cout << printable(record->optValue<std::string>("filename", "")) << '\n';
}

int put(Context& context) {
    if (context.words.value("--name") && context.words.arguments.size() > 1) {
        throw UsageError("--name goes with one file");
    }
    const Client client = context.client();
    for (const std::string& file : context.words.arguments) put_one(context, client, file);
    return kOk;
}

void fetch(const Client& client, const std::string& name, std::uint64_t size,
           const std::string& hash, std::ostream& out) {
    storage::Sha256 sha;
    Progress progress(name, size);
    client.stream(path_of(name), {}, kSilence, [&](std::string_view block) {
        sha.update(block);
        progress.add(block.size());
        out.write(block.data(), static_cast<std::streamsize>(block.size()));
        return static_cast<bool>(out);
    });
    out.flush();
    if (out && sha.finish_hex() != hash) {
        throw Unreachable("what came is not the whole file; see larderd's log, and try again");
    }
}

int get(Context& context) {
    const auto& arguments = context.words.arguments;
    const Client client = context.client();
    const auto record = client.object("GET", path_of(arguments[0]) + "/metadata");
    const auto size = record->optValue<std::uint64_t>("size", 0);
    const auto hash = record->optValue<std::string>("hash", "");
    // Of a name that came from elsewhere only the last part, whatever the daemon says.
    const std::string original =
        fs::path(record->optValue<std::string>("original_name", arguments[0])).filename().string();
    const std::string file = arguments.size() > 1 ? arguments[1] : original;
    if (file == "-") {
        fetch(client, arguments[0], size, hash, std::cout);
        if (!std::cout) throw LocalError("standard output cannot be written");
        return kOk;
    }
    if (arguments.size() < 2 && fs::exists(file)) {
        throw UsageError(fmt::format("{} is there already; name a file to replace", file));
    }
    const std::string beside = file + ".part";  // so that FILE is whole, or what it was
    try {
        std::ofstream out(beside, std::ios::binary | std::ios::trunc);
        fetch(client, arguments[0], size, hash, out);
        out.close();
        if (!out) throw std::runtime_error(strerror(errno));
        fs::rename(beside, file);
    } catch (const std::runtime_error& error) {
        std::error_code gone;
        fs::remove(beside, gone);
        throw LocalError(fmt::format("{} cannot be written: {}", file, error.what()));
    } catch (const std::exception&) {
        std::error_code gone;
        fs::remove(beside, gone);
        throw;
    }
    if (!context.json) std::cout << size_text(size) << " into " << printable(file) << '\n';
    return kOk;
}

int list(Context& context) {
    std::string query;
    for (const char* name : {"prefix", "mime", "sort"}) {
        const auto value = context.words.value(std::string("--") + name);
        if (value) query += fmt::format("{}={}&", name, escaped(*value));
    }
    if (context.words.flag("--desc")) query += "order=desc&";
    const Client client = context.client();
    if (context.json) {
        print_line(client.demand("GET", "/api/files?" + query + "limit=1000").body);
        return kOk;
    }
    Table table({"NAME", "SIZE", "TYPE", "UPLOADED", "DOWNLOADS", "ORIGINAL NAME"});
    for (const auto& file : client.items(query.empty() ? "/api/files" : "/api/files?" + query)) {
        table.add({printable(file->optValue<std::string>("filename", "")),
                   size_text(file->optValue<std::uint64_t>("size", 0)),
                   file->optValue<std::string>("mime_type", ""),
                   file->optValue<std::string>("uploaded_at", ""),
                   std::to_string(file->optValue<std::uint64_t>("download_count", 0)),
                   printable(file->optValue<std::string>("original_name", ""))});
    }
    table.print();
    return kOk;
}

int info(Context& context) {
    const Client client = context.client();
    const std::string target = path_of(context.words.arguments[0]) + "/metadata";
    const std::string body = client.demand("GET", target).body;
    if (context.json) {
        print_line(body);
        return kOk;
    }
    for (storage::json::Walk member(body); member.next();) {
        const std::string value = member.value().starts_with('"')
                                      ? storage::json::unquoted(member.value())
                                      : std::string(member.value());
        std::cout << fmt::format("{:<16} {}\n", storage::json::unquoted(member.name()),
                                 value == "null" ? "-" : printable(value));
    }
    return kOk;
}

int remove(Context& context) {
    const Client client = context.client();
    for (const std::string& name : context.words.arguments) client.demand("DELETE", path_of(name));
    if (!context.json) std::cout << "deleted\n";
    return kOk;
}

int verify(Context& context) {
    const auto& arguments = context.words.arguments;
    const Client client = context.client();
    const std::string target =
        arguments.empty() ? "/api/files/verify" : path_of(arguments[0]) + "/verify";
    const auto found = client.object("POST", target);
    const auto damaged = found->getArray("damaged"), missing = found->getArray("missing");
    if (context.json) {
        found->stringify(std::cout);
        std::cout << '\n';
    } else {
        std::cout << found->optValue<std::uint64_t>("checked", 0) << " checked\n";
        for (const auto& name : *damaged) {
            std::cout << "damaged  " << printable(name.toString()) << '\n';
        }
        for (const auto& name : *missing) {
            std::cout << "missing  " << printable(name.toString()) << '\n';
        }
    }
    return damaged->size() + missing->size() == 0 ? kOk : kRefused;
}

}  // namespace

std::vector<Command> file_commands() {
    return {
        {"file put",
         "FILE...",
         1,
         1000,
         "Store files",
         {{"--name", "NAME", "the original name, instead of the file's own"}},
         put},
        {"file get", "NAME [FILE|-]", 1, 2, "Fetch a file", {}, get},
        {"file list",
         "",
         0,
         0,
         "List the files",
         {{"--prefix", "TEXT", "only those whose original name begins so"},
          {"--mime", "TYPE", "only those whose type begins so"},
          {"--sort", "WORD", "name, size, uploaded_at or downloads"},
          {"--desc", "", "the last first"}},
         list},
        {"file info", "NAME", 1, 1, "What is known of a file", {}, info},
        {"file delete", "NAME...", 1, 1000, "Delete files", {}, remove},
        {"file verify", "[NAME]", 0, 1, "Read files again and compare their SHA-256", {}, verify},
    };
}

}  // namespace larder::ctl
