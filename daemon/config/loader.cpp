// Reads the sources of the configuration and binds them to declarations. Contents: the small texts
// (faults, variables) · reading files · binding a setting · judging what belongs nowhere.
//
// Not the meaning of values (value.cpp), nor the file format (ini.cpp).
#include "config/loader.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <set>
#include <system_error>

#include "config/nearest.hpp"

extern char** environ;  // NOLINT: POSIX's own declaration

namespace larder::config {

namespace {

constexpr std::string_view kPrefix = "LARDER_";
// They name no setting but tell larderctl where the daemon is.
constexpr std::array<std::string_view, 3> kOfLarderctl = {"LARDER_SOCKET", "LARDER_URL",
                                                          "LARDER_TOKEN"};

std::string join(const std::vector<Fault>& faults) {
    std::string text;
    for (const Fault& fault : faults) {
        if (!text.empty()) text += '\n';
        text += to_string(fault);
    }
    return text;
}

// What could be read of a file, or the errno that stood in the way.
struct ReadText {
    std::string text;
    int error = 0;
    bool regular = true;
};

ReadText read_text(const std::string& path) {
    ReadText result;
    // O_NONBLOCK: a fifo must be refused, not waited for
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        result.error = errno;
        return result;
    }
    struct stat about {};
    if (::fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
        result.regular = false;
        ::close(fd);
        return result;
    }
    char buffer[16384];
    while (result.text.size() <= kMaxIniFile) {
        const ssize_t got = ::read(fd, buffer, sizeof(buffer));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) result.error = errno;
        if (got <= 0) break;
        result.text.append(buffer, static_cast<std::size_t>(got));
    }
    ::close(fd);
    return result;
}

bool is_own(std::string_view section) {
    return std::ranges::any_of(own_declarations(),
                               [section](const auto& own) { return own.section == section; });
}

std::vector<std::string> names_of(std::span<const Declaration> declarations) {
    std::vector<std::string> names;
    for (const Declaration& declaration : declarations) names.push_back(declaration.section);
    return names;
}

const Declaration* find(std::span<const Declaration> declarations, std::string_view section) {
    for (const Declaration& declaration : declarations) {
        if (declaration.section == section) return &declaration;
    }
    return nullptr;
}

}  // namespace

Sources Sources::of_process(std::string file, bool file_named) {
    Sources sources;
    sources.file = std::move(file);
    sources.file_named = file_named;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view text = *entry;
        const std::size_t equals = text.find('=');
        if (equals == std::string_view::npos || !text.starts_with(kPrefix)) continue;
        sources.environment.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
    std::error_code error;
    sources.working_directory = std::filesystem::current_path(error).string();
    if (error) sources.working_directory.assign(1, '/');  // it was removed under us
    return sources;
}

std::string to_string(const Fault& fault) {
    std::string text = fault.file;
    if (fault.line != 0) text += fmt::format(":{}", fault.line);
    if (!fault.key.empty()) text += fmt::format(": {}", fault.key);
    return fmt::format("{}: {}", text, fault.message);
}

ConfigError::ConfigError(std::vector<Fault> faults)
    : faults_(std::move(faults)), text_(join(faults_)) {}

ConfigError fault_at(const Configuration& configuration, const std::string& section,
                     const std::string& key, std::string message) {
    const auto found = configuration.section(section);
    const Section::Item* const item = found->find(key);
    Fault fault;
    fault.key = fmt::format("{}.{}", section, key);
    fault.message = std::move(message);
    if (item != nullptr && item->origin.kind == Origin::Kind::file) {
        fault.file = item->origin.place;
        fault.line = item->origin.line;
    } else if (item != nullptr) {
        fault.file = kind_word(item->origin.kind);
    }
    return ConfigError({std::move(fault)});
}

Loader::Loader(Sources sources) : sources_(std::move(sources)) {
    read_files();
    for (const RawFile& file : files_) collect(file);
    for (const auto& [name, text] : sources_.overrides) {
        const std::size_t dot = name.find('.');
        if (dot == std::string::npos) {
            fault("command line", 0, shown(name),
                  "expected section.key=value, such as http.listen=…");
            continue;
        }
        from_command_line_[{name.substr(0, dot), name.substr(dot + 1)}] = {
            text, {Origin::Kind::command_line, "", 0}};
    }
    std::vector<std::shared_ptr<const Section>> sections;
    for (const Declaration& declaration : own_declarations()) sections.push_back(bind(declaration));
    own_ = Configuration(std::move(sections));
    judge_own_file();
    judge_overrides({}, true);
}

Configuration Loader::with_plugins(std::span<const Declaration> plugins) {
    std::set<std::string> names;
    for (const Declaration& plugin : plugins) {
        check_declaration(plugin);
        if (is_own(plugin.section) || !names.insert(plugin.section).second) {
            throw Error(Errc::internal, "bad-declaration",
                        fmt::format("section [{}] is declared twice", plugin.section));
        }
    }
    std::vector<std::shared_ptr<const Section>> sections = own_.sections();
    for (const Declaration& plugin : plugins) sections.push_back(bind(plugin));
    judge_plugin_files(plugins);
    judge_overrides(plugins, false);
    judge_environment(plugins);
    if (!faults_.empty()) throw ConfigError(faults_);
    return Configuration(std::move(sections));
}

void Loader::fault(std::string file, unsigned line, std::string key, std::string message) {
    faults_.push_back({std::move(file), line, std::move(key), std::move(message)});
}

// ---- reading files

void Loader::read_files() {
    if (sources_.file.empty()) return;
    read_file(sources_.file, "");
    const std::filesystem::path folder =
        std::filesystem::path(sources_.file).parent_path() / "plugins.d";
    std::error_code error;
    std::vector<std::filesystem::path> found;
    std::filesystem::directory_iterator place(folder, error);
    for (; !error && place != std::filesystem::directory_iterator(); place.increment(error)) {
        found.push_back(place->path());
    }
    if (error && error != std::errc::no_such_file_or_directory) {
        fault(folder.string(), 0, "",
              fmt::format("expected a readable folder, got '{}'; check its permissions",
                          error.message()));
    }
    std::ranges::sort(found);
    for (const std::filesystem::path& path : found) {
        const std::string name = path.filename().string();
        if (name.starts_with('.') || name.ends_with('~')) continue;
        if (path.extension() != ".ini") {
            warnings_.push_back(fmt::format("{}: passed over, its name does not end in .ini",
                                            shown(path.string())));
            continue;
        }
        read_file(path.string(), path.stem().string());
    }
}

void Loader::read_file(const std::string& path, const std::string& plugin) {
    if (!plugin.empty() && (!is_ini_name(plugin) || is_own(plugin))) {
        return fault(
            path, 0, "",
            is_own(plugin)
                ? fmt::format("[{}] is the daemon's own: put it into {} and remove this file",
                              plugin, sources_.file)
                : std::string("expected a plugin's id as the file's name, such as kv.ini"));
    }
    const ReadText read = read_text(path);
    const bool may_lack = plugin.empty() && !sources_.file_named;
    if (read.error == ENOENT && may_lack) return;
    if (!read.regular) return fault(path, 0, "", "expected a regular file, got something else");
    if (read.error != 0) {
        return fault(path, 0, "",
                     fmt::format("expected a readable file, got '{}'",
                                 std::generic_category().message(read.error)));
    }
    files_.push_back({path, plugin, parse_ini(read.text)});
}

void Loader::collect(const RawFile& file) {
    for (const IniFault& found : file.document.faults) {
        fault(file.path, found.line, "", found.message);
    }
    for (const IniEntry& entry : file.document.entries) {
        if (file.plugin.empty() ? !is_own(entry.section) : entry.section != file.plugin) continue;
        from_files_[{entry.section, entry.key}] = {entry.value,
                                                   {Origin::Kind::file, file.path, entry.line}};
    }
}

// ---- binding a setting

std::shared_ptr<const Section> Loader::bind(const Declaration& declaration) {
    std::vector<Section::Item> items;
    const std::vector<std::string> keys = keys_of(declaration);
    if (keys.size() > declaration.settings.size()) {  // `enabled`, which comes with every plugin
        items.push_back(bind_setting(declaration, enabled_setting(declaration.enabled_by_default)));
    }
    for (const Setting& setting : declaration.settings) {
        items.push_back(bind_setting(declaration, setting));
    }
    return std::make_shared<const Section>(declaration.section, std::move(items));
}

Section::Item Loader::bind_setting(const Declaration& declaration, const Setting& setting) {
    const std::string name = fmt::format("{}.{}", declaration.section, setting.key);
    const std::string variable = variable_of(declaration.section, setting.key);
    const auto [known, is_new] = variables_.emplace(variable, name);
    if (const auto set = sources_.environment.find(variable); set != sources_.environment.end()) {
        if (!is_new) {
            fault("environment", 0, name,
                  fmt::format("{} could mean {} or {}; set them in their files", variable,
                              known->second, name));
        }
        from_environment_[{declaration.section, setting.key}] = {
            set->second, {Origin::Kind::environment, variable, 0}};
    }
    Section::Item item{setting, parse_value(setting, setting.fallback), {}};
    const Written* const written = strongest(declaration.section, setting.key);
    if (written == nullptr) return item;
    std::string text = written->text;
    const bool from_file = written->origin.kind == Origin::Kind::file;
    if (item.value.kind == Kind::path && !from_file && !text.empty()) {
        // what is typed in a shell means that shell's folder; a file has none
        text =
            (std::filesystem::path(sources_.working_directory) / text).lexically_normal().string();
    }
    try {
        if (!is_utf8(text) || text.find_first_of(std::string_view("\0\n\r", 3)) != text.npos) {
            throw ValueError(fmt::format("expected one line of UTF-8, got '{}'",
                                         is_utf8(text) ? shown(text) : "other bytes"));
        }
        item.value = parse_value(setting, text);
        item.origin = written->origin;
    } catch (const ValueError& error) {
        const Origin& origin = written->origin;
        fault(from_file ? origin.place : std::string(kind_word(origin.kind)), origin.line, name,
              setting.secret ? fmt::format("expected {}, got something else (not shown: a secret)",
                                           describe_type(setting))
                             : error.what());
    }
    return item;
}

const Loader::Written* Loader::strongest(const std::string& section, const std::string& key) const {
    for (const auto* const source : {&from_command_line_, &from_environment_, &from_files_}) {
        const auto found = source->find({section, key});
        if (found != source->end()) return &found->second;
    }
    return nullptr;
}

// ---- judging what belongs nowhere

void Loader::check_keys(const RawFile& file, const Declaration& declaration) {
    if (!declaration.known) return;
    const std::vector<std::string> keys = keys_of(declaration);
    for (const IniEntry& entry : file.document.entries) {
        if (entry.section != declaration.section) continue;
        if (std::ranges::find(keys, entry.key) != keys.end()) continue;
        fault(file.path, entry.line, fmt::format("{}.{}", entry.section, entry.key),
              fmt::format("unknown key{}", did_you_mean(entry.key, keys)));
    }
}

void Loader::judge_own_file() {
    const std::vector<std::string> own = names_of(own_declarations());
    for (const RawFile& file : files_) {
        if (!file.plugin.empty()) continue;
        for (const Declaration& declaration : own_declarations()) check_keys(file, declaration);
        for (const IniSection& section : file.document.sections) {
            if (is_own(section.name)) continue;
            fault(
                file.path, section.line, fmt::format("[{}]", section.name),
                fmt::format("expected [{}] here; a plugin's section stands in plugins.d/{}.ini{}",
                            fmt::join(own, "], ["), section.name, did_you_mean(section.name, own)));
        }
    }
}

void Loader::judge_plugin_files(std::span<const Declaration> plugins) {
    const std::vector<std::string> names = names_of(plugins);
    for (const RawFile& file : files_) {
        if (file.plugin.empty()) continue;
        const Declaration* const declaration = find(plugins, file.plugin);
        if (declaration == nullptr) {
            fault(
                file.path, 0, "",
                fmt::format("no plugin '{}' was found in daemon.plugin_dirs; install it or remove "
                            "this file{}",
                            file.plugin, did_you_mean(file.plugin, names)));
            continue;
        }
        check_keys(file, *declaration);
        for (const IniSection& section : file.document.sections) {
            if (section.name == file.plugin) continue;
            fault(file.path, section.line, fmt::format("[{}]", section.name),
                  fmt::format("expected [{}] alone here; [{}] stands in {}", file.plugin,
                              section.name,
                              is_own(section.name)
                                  ? std::filesystem::path(sources_.file).filename().string()
                                  : fmt::format("plugins.d/{}.ini", section.name)));
        }
    }
}

// Own sections are judged at once, the others when the plugins are known.
void Loader::judge_overrides(std::span<const Declaration> plugins, bool own) {
    for (const auto& [place, written] : from_command_line_) {
        const auto& [section, key] = place;
        if (is_own(section) != own) continue;
        const Declaration* const declaration = find(own ? own_declarations() : plugins, section);
        const std::string name = shown(fmt::format("{}.{}", section, key));
        if (declaration == nullptr) {
            std::vector<std::string> names = names_of(own_declarations());
            for (const Declaration& plugin : plugins) names.push_back(plugin.section);
            fault("command line", 0, name,
                  fmt::format("unknown section{}", did_you_mean(section, names)));
            continue;
        }
        const std::vector<std::string> keys = keys_of(*declaration);
        if (!declaration->known || std::ranges::find(keys, key) != keys.end()) continue;
        fault("command line", 0, name, fmt::format("unknown key{}", did_you_mean(key, keys)));
    }
}

void Loader::judge_environment(std::span<const Declaration> plugins) {
    std::vector<std::string> known;
    for (const auto& [variable, name] : variables_) known.push_back(variable);
    for (const auto& set : sources_.environment) {
        const std::string& variable = set.first;
        if (!variable.starts_with(kPrefix) || variables_.contains(variable)) continue;
        if (std::ranges::find(kOfLarderctl, variable) != kOfLarderctl.end()) continue;
        const bool of_refused_plugin = std::ranges::any_of(plugins, [&](const Declaration& plugin) {
            return !plugin.known && variable.starts_with(variable_of(plugin.section, ""));
        });
        if (of_refused_plugin) continue;
        warnings_.push_back(
            fmt::format("environment variable {} names no setting and is passed over{}",
                        shown(variable), did_you_mean(variable, known)));
    }
}

}  // namespace larder::config
