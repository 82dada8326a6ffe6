// support-bundle: what whoever helps an admin asks for, in one file. It holds no stored value, no
// file, no user and no access log; larderd masks the secrets of its configuration.
#include <Poco/DateTime.h>
#include <Poco/DateTimeFormatter.h>
#include <Poco/Exception.h>
#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>
#include <Poco/Path.h>
#include <Poco/Pipe.h>
#include <Poco/PipeStream.h>
#include <Poco/Process.h>
#include <Poco/StreamCopier.h>
#include <Poco/Zip/Compress.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <system_error>

#include "command.hpp"
#include "config/loader.hpp"
#include "daemon.hpp"
#include "larder/error.hpp"
#include "larder/time.hpp"
#include "storage-kit/json.hpp"

namespace larder::ctl {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kLogTail = 1U << 18U;
constexpr int kJournalLines = 2000;

struct Source {
    const char *name, *target;
};
constexpr Source kAnswers[] = {
    {"readyz.json", "/readyz"},
    {"status.json", "/api/status"},
    {"plugins.json", "/api/plugins?limit=1000"},
    {"config.json", "/api/config?limit=1000"},
    {"limits.json", "/api/limits"},
    {"jobs.json", "/api/scheduler/jobs?limit=1000"},
    {"alerts.json", "/api/alerts?limit=1000"},
    {"storage.json", "/api/storage/usage"},
    {"metrics.txt", "/metrics"},
};

class Bundle {
public:
    explicit Bundle(const std::string& path)
        : file_(path, std::ios::binary | std::ios::trunc), zip_(file_, true) {
        ::chmod(path.c_str(), S_IRUSR | S_IWUSR);
        if (!file_) throw LocalError(fmt::format("{} cannot be written", path));
    }

    void add(const std::string& name, const std::string& text) {
        std::istringstream stream(text);
        zip_.addFile(stream, Poco::DateTime(),
                     Poco::Path("larder-support/" + name, Poco::Path::PATH_UNIX));
        names_.push_back(name);
    }
    const std::vector<std::string>& names() const noexcept { return names_; }
    void finish() {
        zip_.close();
        file_.close();
        if (!file_) throw LocalError("the bundle cannot be written to its end; is the disk full?");
    }

private:
    std::ofstream file_;
    Poco::Zip::Compress zip_;
    std::vector<std::string> names_;
};

std::string content_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::string tail_of(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::error_code fault;
    const std::uintmax_t size = fs::file_size(path, fault);
    if (!fault && size > kLogTail) file.seekg(static_cast<std::streamoff>(size - kLogTail));
    return {std::istreambuf_iterator<char>(file), {}};
}

// The output of a program without a shell; empty where there is no such program.
std::string output_of(const std::string& program, const std::vector<std::string>& words) {
    try {
        Poco::Pipe out, complaints;
        const auto process = Poco::Process::launch(program, words, nullptr, &out, &complaints);
        Poco::PipeInputStream stream(out);
        std::string text;
        Poco::StreamCopier::copyToString(stream, text);
        Poco::Process::wait(process);
        return text;
    } catch (const Poco::Exception&) {
        return {};
    }
}

std::string machine() {
    utsname name{};
    ::uname(&name);
    std::string text =
        fmt::format("larderctl {}\ntime {}\nkernel {} {} {}\n\n", kVersion, rfc3339(unix_now_ms()),
                    name.sysname, name.release, name.machine);
    for (const char* path : {"/etc/os-release", "/proc/meminfo", "/proc/loadavg", "/proc/mounts"}) {
        text += fmt::format("== {}\n{}\n", path, content_of(path));
    }
    return text;
}

// Names and sizes of what the layout itself names; users' names of files stay out.
std::string layout_of(const fs::path& data) {
    std::string text;
    for (const char* folder : {".", "config", "kv", "programs/db", "logs", "backups"}) {
        std::error_code fault;
        for (const auto& entry : fs::directory_iterator(data / folder, fault)) {
            std::error_code gone;
            const auto size = entry.is_regular_file(gone) ? entry.file_size(gone) : 0;
            text += fmt::format("{:>14}  {}/{}\n", gone ? 0 : size, folder,
                                entry.path().filename().string());
        }
        if (fault) text += fmt::format("{:>14}  {}: {}\n", "-", folder, fault.message());
    }
    return text;
}

// Where the data is, as the daemon says, or its files where it is down.
std::string data_directory(const std::string& status) {
    std::istringstream text(status);
    try {
        if (!status.empty()) {
            return Poco::JSON::Parser()
                .parse(text)
                .extract<Poco::JSON::Object::Ptr>()
                ->optValue<std::string>("data_directory", "");
        }
        const auto sources = config::Sources::of_process("/etc/larder/larder.ini", false);
        return Daemon::check(sources).configuration.section("daemon")->text("data_dir");
    } catch (const std::exception&) {  // what is not known is left out, and the rest goes in
        return {};
    }
}

// What the daemon says of itself; its status, empty where it does not answer.
std::string add_answers(const Context& context, Bundle& bundle) {
    std::string status;
    const Client client = context.client();
    try {
        for (const Source& source : kAnswers) {
            const Answer answer = client.ask("GET", source.target);
            bundle.add(source.name, answer.body);
            if (answer.is_good() && std::string_view(source.name) == "status.json") {
                status = answer.body;
            }
        }
    } catch (const Unreachable& error) {
        bundle.add("unreachable.txt", std::string(error.what()) + "\n");
        std::cerr << "larderctl: " << error.what() << "; the bundle is made without its answers\n";
    }
    return status;
}

int support_bundle(Context& context) {
    const auto& arguments = context.words.arguments;
    const std::string path =
        arguments.empty()
            ? "larder-support-" +
                  Poco::DateTimeFormatter::format(Poco::DateTime(), "%Y%m%d-%H%M%S") + ".zip"
            : arguments[0];
    if (fs::exists(path)) throw LocalError(path + " is there already; name another file");
    Bundle bundle(path);
    bundle.add("machine.txt", machine());
    const std::string status = add_answers(context, bundle);
    if (const std::string data = data_directory(status); !data.empty()) {
        bundle.add("layout.txt", layout_of(data));
        for (const char* log : {"logs/app.log", "logs/error.log"}) {
            std::error_code fault;
            if (fs::is_regular_file(fs::path(data) / log, fault)) {
                bundle.add(log, tail_of(fs::path(data) / log));
            }
        }
    }
    const std::string journal =
        output_of("journalctl", {"--unit=larder", fmt::format("--lines={}", kJournalLines),
                                 "--no-pager", "--output=short-iso"});
    if (!journal.empty()) bundle.add("journal.txt", journal);
    bundle.finish();
    if (context.json) {
        std::string names;
        for (const auto& name : bundle.names()) {
            names += fmt::format("{}\"{}\"", names.empty() ? "" : ",", name);
        }
        std::cout << fmt::format(R"({{"file":{},"entries":[{}]}})", storage::json::quoted(path),
                                 names)
                  << '\n';
        return kOk;
    }
    std::cout << fmt::format(
        "{} holds {} entries; read it before you send it: log lines may name keys and "
        "addresses\n",
        path, bundle.names().size());
    return kOk;
}

}  // namespace

std::vector<Command> support_commands() {
    return {{"support-bundle",
             "[FILE]",
             0,
             1,
             "Collect what whoever helps you will ask for",
             {},
             support_bundle}};
}

}  // namespace larder::ctl
