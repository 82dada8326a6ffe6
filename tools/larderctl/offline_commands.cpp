// The commands that ask no daemon: what configuration files say, whether a plugin's file would be
// taken, a new plugin from the template, what a bucket's files hold, the taking over of a Python
// origin's data.
//
// Contents: config · plugin · kv · import-origin · the list of commands.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <regex>
#include <system_error>

#include "command.hpp"
#include "config/loader.hpp"
#include "config/nearest.hpp"
#include "daemon.hpp"
#include "larder/error.hpp"
#include "larder/time.hpp"
#include "origin_import.hpp"
#include "plugin_host/stamp.hpp"
#include "progress.hpp"
#include "storage-kit/inspect.hpp"
#include "storage-kit/json.hpp"
#include "table.hpp"

namespace larder::ctl {
namespace {

namespace fs = std::filesystem;

std::string json_of(std::string_view text) { return storage::json::quoted(text); }

// ---- config

config::Sources sources_of(const Context& context) {
    const auto file = context.words.value("--config");
    auto sources = config::Sources::of_process(
        fs::absolute(file.value_or("/etc/larder/larder.ini")).lexically_normal(), file.has_value());
    return sources;
}

int tell_faults(const config::ConfigError& error, bool json) {
    if (!json) {
        for (const auto& fault : error.faults()) std::cerr << config::to_string(fault) << '\n';
        std::cerr << fmt::format("larderctl: {} faults; larderd would not start\n",
                                 error.faults().size());
        return kRefused;
    }
    std::string rows;
    for (const auto& fault : error.faults()) {
        rows += fmt::format(R"({}{{"file":{},"line":{},"key":{},"message":{}}})",
                            rows.empty() ? "" : ",", json_of(fault.file), fault.line,
                            json_of(fault.key), json_of(fault.message));
    }
    std::cout << fmt::format(R"({{"good":false,"faults":[{}]}})", rows) << '\n';
    return kRefused;
}

// Runs `then` with the configuration of the command's files.
int with_configuration(Context& context, int (*then)(Context&, const Daemon::Checked&)) {
    try {
        return then(context, Daemon::check(sources_of(context)));
    } catch (const config::ConfigError& error) {
        return tell_faults(error, context.json);
    } catch (const Error& error) {
        std::cerr << "larderctl: " << error.what() << '\n';
        return kRefused;
    }
}

int config_check(Context& context) {
    return with_configuration(context, [](Context& given, const Daemon::Checked& checked) -> int {
        for (const auto& warning : checked.warnings) std::cerr << "warning: " << warning << '\n';
        std::cout << (given.json ? R"({"good":true,"faults":[]})" : "configuration is good")
                  << '\n';
        return kOk;
    });
}

struct Explained {
    std::string name, value, origin;
    const Setting* setting;
};

void print_explained(const std::vector<Explained>& all) {
    for (const Explained& entry : all) {
        std::cout << fmt::format(
            "{} = {}\n    {}\n    {}; default {}{}\n    from {}\n", entry.name,
            printable(entry.value), entry.setting->says, config::describe_type(*entry.setting),
            *entry.setting->fallback == '\0' ? "empty" : entry.setting->fallback,
            entry.setting->live ? "; may change while running" : "; wants a restart", entry.origin);
    }
}

void print_explained_json(const std::vector<Explained>& all) {
    std::string rows;
    for (const Explained& entry : all) {
        rows += fmt::format(
            R"({}{{"key":{},"value":{},"origin":{},"default":{},"type":{},"live":{},"says":{}}})",
            rows.empty() ? "" : ",", json_of(entry.name), json_of(entry.value),
            json_of(entry.origin), json_of(entry.setting->fallback),
            json_of(config::describe_type(*entry.setting)), entry.setting->live,
            json_of(entry.setting->says));
    }
    std::cout << fmt::format(R"({{"items":[{}],"next":null}})", rows) << '\n';
}

// Whether a setting is meant by one of the words: "http", "http.listen"; none means all.
bool is_meant(const Words& words, const std::string& section, const std::string& name) {
    return words.arguments.empty() ||
           std::any_of(words.arguments.begin(), words.arguments.end(),
                       [&](const std::string& word) { return word == section || word == name; });
}

int explain(Context& context, const Daemon::Checked& checked) {
    std::vector<Explained> meant;
    std::vector<std::string> names;
    for (const auto& section : checked.configuration.sections()) {
        names.push_back(section->name());
        for (const auto& item : section->items()) {
            const std::string name = section->name() + "." + item.setting.key;
            names.push_back(name);
            if (!is_meant(context.words, section->name(), name)) continue;
            const bool hides = item.setting.secret && !item.value.text.empty();
            meant.push_back({name, hides ? "(secret)" : item.value.text,
                             config::to_string(item.origin), &item.setting});
        }
    }
    for (const std::string& word : context.words.arguments) {
        if (std::find(names.begin(), names.end(), word) != names.end()) continue;
        throw UsageError(fmt::format("there is no setting or section '{}'{}", word,
                                     config::did_you_mean(word, names)));
    }
    if (context.json) {
        print_explained_json(meant);
    } else {
        print_explained(meant);
    }
    return kOk;
}

int config_explain(Context& context) { return with_configuration(context, explain); }

// ---- plugin

int plugin_check(Context& context) {
    const std::string& file = context.words.arguments[0];
    if (!fs::exists(file)) throw LocalError(fmt::format("there is no file {}", file));
    const auto verdict = plugin_host::judge_file(file);
    if (context.json) {
        std::cout << fmt::format(R"({{"taken":{},"api_version":"{}.{}","reason":{}}})",
                                 verdict.taken, verdict.stamp.api_major, verdict.stamp.api_minor,
                                 json_of(verdict.why))
                  << '\n';
    } else if (verdict.taken) {
        std::cout << fmt::format("larderd {} would load it: plugin API {}.{}\n", kVersion,
                                 verdict.stamp.api_major, verdict.stamp.api_minor);
    } else {
        std::cerr << fmt::format("larderctl: {}: {}\n", file, verdict.why);
    }
    return verdict.taken ? kOk : kRefused;
}

// Beside where this program is installed, else in the tree that it was built from.
fs::path template_folder() {
    const fs::path prefix = fs::read_symlink("/proc/self/exe").parent_path().parent_path();
    for (const fs::path& place :
         {prefix / "share" / "larder" / "template", fs::path(LARDER_SOURCE_TEMPLATE)}) {
        if (fs::is_directory(place)) return place;
    }
    throw LocalError(
        fmt::format("the plugin template is not installed at {}; install Larder's "
                    "plugin-api component",
                    (prefix / "share" / "larder" / "template").string()));
}

std::string capitalized(std::string text) {
    text.front() = static_cast<char>(std::toupper(text.front()));
    return text;
}

std::string upper(std::string text) {
    for (char& c : text) c = static_cast<char>(std::toupper(c));
    return text;
}

// The template's plugin is called `notes`, its classes Notes…, its macros NOTES_….
std::string renamed(std::string text, const std::string& name) {
    for (const auto& [from, to] :
         {std::pair{std::string("notes"), name}, std::pair{std::string("Notes"), capitalized(name)},
          std::pair{std::string("NOTES"), upper(name)}}) {
        for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
            text.replace(at, from.size(), to);
        }
    }
    return text;
}

void copy_template(const fs::path& from, const fs::path& to, const std::string& name) {
    fs::create_directories(to);
    for (const auto& entry : fs::recursive_directory_iterator(from)) {
        const fs::path relative = entry.path().lexically_relative(from);
        const fs::path place = to / renamed(relative.string(), name);
        if (entry.is_directory()) {
            fs::create_directories(place);
            continue;
        }
        std::ifstream in(entry.path(), std::ios::binary);
        const std::string text{std::istreambuf_iterator<char>(in), {}};
        std::ofstream out(place, std::ios::binary);
        out << renamed(text, name);
        out.close();
        if (!in || !out) throw LocalError(fmt::format("{} cannot be written", place.string()));
        fs::permissions(place, entry.status().permissions());
    }
}

int plugin_new(Context& context) {
    const std::string& name = context.words.arguments[0];
    static const std::regex kName("[a-z][a-z0-9_]{0,31}");
    if (!std::regex_match(name, kName)) {
        throw UsageError(fmt::format("a plugin's name is [a-z][a-z0-9_]{{0,31}}, got '{}'", name));
    }
    const fs::path folder = context.words.value("--into").value_or(name);
    if (fs::exists(folder)) {
        throw LocalError(
            fmt::format("{} is there already; remove it, or name another folder with "
                        "--into",
                        folder.string()));
    }
    try {
        copy_template(template_folder(), folder, name);
    } catch (const fs::filesystem_error& error) {
        throw LocalError(error.what());
    }
    std::cout << fmt::format("made {}; its README.md tells how to build and test it\n",
                             folder.string());
    return kOk;
}

// ---- kv

const char* verdict_word(storage::Inspection::Verdict verdict) {
    switch (verdict) {
        case storage::Inspection::Verdict::whole: return "whole";
        case storage::Inspection::Verdict::torn: return "torn";
        case storage::Inspection::Verdict::damaged: break;
    }
    return "damaged";
}

void print_inspection(const Context& context, const storage::Inspection& found) {
    if (!context.json) {
        std::cout << fmt::format("{}: {} keys, version {}-{}\n", verdict_word(found.verdict),
                                 found.savable.size(), found.version.epoch, found.version.revision);
        for (const auto& finding : found.findings) {
            std::cout << "  " << printable(finding.text) << '\n';
        }
        return;
    }
    std::string texts;
    for (const auto& finding : found.findings) {
        texts += (texts.empty() ? "" : ",") + json_of(finding.text);
    }
    std::cout << fmt::format(R"({{"verdict":"{}","keys":{},"epoch":{},"revision":{},)"
                             R"("lost_lines":{},"unreachable_batches":{},"findings":[{}]}})",
                             verdict_word(found.verdict), found.savable.size(), found.version.epoch,
                             found.version.revision, found.lost_lines, found.unreachable_batches,
                             texts)
              << '\n';
}

int kv_check(Context& context) {
    const std::string& file = context.words.arguments[0];
    std::error_code ignored;  // what cannot be looked at is told by inspect()
    if (!fs::exists(file, ignored) && !fs::exists(file + ".journal", ignored)) {
        throw LocalError(
            fmt::format("there is no bucket {}; name its .json in the data directory", file));
    }
    storage::FileSystem& files = storage::FileSystem::real();
    try {
        const auto found = storage::inspect(files, file, unix_now_ms());
        print_inspection(context, found);
        if (const auto place = context.words.value("--save")) {
            storage::save(files, found, *place);
            if (!context.json) std::cout << "what can be saved is in " << *place << '\n';
        }
        return found.verdict == storage::Inspection::Verdict::damaged ? kRefused : kOk;
    } catch (const std::system_error& error) {
        throw LocalError(fmt::format("{}: {}", file, error.what()));
    } catch (const Error& error) {
        throw LocalError(fmt::format("{}: {}{}{}", file, error.what(),
                                     error.internal().empty() ? "" : ": ", error.internal()));
    }
}

// ---- import-origin

std::string texts_json(const std::vector<std::string>& texts) {
    std::string all;
    for (const auto& text : texts) all += (all.empty() ? "" : ",") + json_of(text);
    return "[" + all + "]";
}

void print_import(const OriginReport& report) {
    Table table({"PART", "ITEMS", "SIZE"});
    for (const OriginPart& part : report.parts) {
        table.add({part.name, std::to_string(part.count), size_text(part.bytes)});
    }
    table.print();
    if (report.times > 0) std::cout << fmt::format("{} times got a zone\n", report.times);
    for (const auto& text : report.notes) std::cout << "note: " << printable(text) << '\n';
    for (const auto& text : report.damaged) std::cout << "damaged: " << printable(text) << '\n';
}

void print_import_json(const OriginPlan& plan, const OriginReport& report, bool imported) {
    std::string parts;
    for (const OriginPart& part : report.parts) {
        parts += fmt::format(R"({}{{"name":{},"count":{},"size":{}}})", parts.empty() ? "" : ",",
                             json_of(part.name), part.count, part.bytes);
    }
    std::cout << fmt::format(
                     R"({{"from":{},"into":{},"dry_run":{},"imported":{},"parts":[{}],"times":{},)"
                     R"("notes":{},"damaged":{}}})",
                     json_of(plan.from.string()), json_of(plan.to.string()), plan.dry_run, imported,
                     parts, report.times, texts_json(report.notes), texts_json(report.damaged))
              << '\n';
}

fs::path data_directory_of(Context& context) {
    if (const auto into = context.words.value("--into")) return *into;
    const config::Configuration configuration = Daemon::check(sources_of(context)).configuration;
    return configuration.section("daemon")->text("data_dir");
}

int run_import(Context& context) {
    const Words& words = context.words;
    const OriginPlan plan{words.arguments[0], data_directory_of(context), words.flag("--dry-run"),
                          words.flag("--keep-going")};
    const Zone zone(words.value("--zone").value_or("UTC"));
    const OriginReport report = import_origin(plan, zone);
    const bool refused = !report.damaged.empty() && !plan.skip_damaged;
    const bool imported = !plan.dry_run && !refused;
    if (context.json) {
        print_import_json(plan, report, imported);
        return report.damaged.empty() ? kOk : kRefused;
    }
    print_import(report);
    if (imported) {
        std::cout << fmt::format("{} is ready; start larderd on it\n", plan.to.string());
    } else if (refused) {
        std::cerr << "larderctl: nothing was imported; mend what is damaged, or take over the "
                     "rest with --keep-going\n";
    }
    return report.damaged.empty() ? kOk : kRefused;
}

int import_command(Context& context) {
    try {
        return run_import(context);
    } catch (const config::ConfigError& error) {
        return tell_faults(error, context.json);
    }
}

}  // namespace

std::vector<Command> offline_commands() {
    const Option file{"--config", "FILE", "instead of /etc/larder/larder.ini"};
    return {
        {"kv check",
         "FILE",
         1,
         1,
         "Judge a bucket's files while larderd is down, without changing them",
         {{"--save", "NEW", "write what can be saved as another bucket's file"}},
         kv_check,
         false},
        {"config check",
         "",
         0,
         0,
         "Say all that is wrong with the configuration files",
         {file},
         config_check,
         false},
        {"config explain",
         "[SECTION|KEY]...",
         0,
         100,
         "Tell each setting's value, origin, meaning, type, range and default",
         {file},
         config_explain,
         false},
        {"plugin check",
         "FILE",
         1,
         1,
         "Say whether larderd would load a plugin, without loading it",
         {},
         plugin_check,
         false},
        {"plugin new",
         "NAME",
         1,
         1,
         "Begin a plugin by a copy of the template",
         {{"--into", "FOLDER", "instead of ./NAME"}},
         plugin_new,
         false},
        {"import-origin",
         "DIR",
         1,
         1,
         "Take over the data/ folder of the Python system that Larder replaces",
         {{"--into", "FOLDER", "the new data directory, instead of daemon.data_dir"},
          {"--zone", "ZONE", "what times without one mean: UTC (the default), local, Europe/Paris"},
          {"--dry-run", "", "judge everything, and copy nothing"},
          {"--keep-going", "", "import the rest where something is damaged"},
          file},
         import_command,
         false},
    };
}

}  // namespace larder::ctl
