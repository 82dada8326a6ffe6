// Makes a Configuration of files, environment and command line, or tells every mistake in them at
// once. Reads each source once; what a reload changes is configuration.hpp's business.
//
//   Sources → Loader → own() → (plugins are found, their settings known) → with_plugins() →
//   Configuration
//
// What wins: command line, environment, plugins.d/<id>.ini and larder.ini, default.
#pragma once

#include <exception>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/configuration.hpp"
#include "config/declarations.hpp"
#include "config/ini.hpp"

namespace larder::config {

// Where settings come from. A snapshot: nothing of it is read again later.
struct Sources {
    std::string file;         // larder.ini; plugins.d is looked for beside it. Empty: no files
    bool file_named = false;  // the admin named it, so it must exist
    std::map<std::string, std::string>
        environment;  // all of it; others than LARDER_* are passed over
    std::vector<std::pair<std::string, std::string>>
        overrides;                  // "http.listen", value; the last wins
    std::string working_directory;  // relative paths of environment and command line begin here

    // This process's environment and working directory. [control]
    static Sources of_process(std::string file, bool file_named);
};

// One mistake of the admin's.
struct Fault {
    std::string file;   // path, "environment" or "command line"
    unsigned line = 0;  // 0: none
    std::string key;    // "http.listen", or empty
    std::string message;
};

// "/etc/larder/larder.ini:12: http.listen: expected …". [any]
std::string to_string(const Fault& fault);

class ConfigError : public std::exception {
public:
    explicit ConfigError(std::vector<Fault> faults);
    const std::vector<Fault>& faults() const noexcept { return faults_; }  // never empty
    const char* what() const noexcept override { return text_.c_str(); }   // one line a fault

private:
    std::vector<Fault> faults_;
    std::string text_;
};

// What is wrong with a setting of a configuration that was well-formed so far: a fault at the place
// that it comes from. [any]
ConfigError fault_at(const Configuration& configuration, const std::string& section,
                     const std::string& key, std::string message);

// Reads the sources once and binds them in two steps, since the daemon must be configured before it
// can find the plugins. Never throws for what an admin wrote, before with_plugins(). [control]
class Loader {
public:
    explicit Loader(Sources sources);

    // The daemon's own sections. While faults() is not empty, mistaken settings stand at their
    // defaults: good for finding the plugins (so that their mistakes are reported as well), not for
    // being put in force.
    const Configuration& own() const noexcept { return own_; }
    const std::vector<Fault>& faults() const noexcept { return faults_; }

    // All of it: own() and each plugin's section. Throws ConfigError with the faults of both steps,
    // Error{internal} for a malformed declaration. Once.
    Configuration with_plugins(std::span<const Declaration> plugins);

    // What was passed over, for the log: unknown LARDER_* variables, strange files in plugins.d.
    // Complete after with_plugins().
    const std::vector<std::string>& warnings() const noexcept { return warnings_; }

private:
    struct RawFile {
        std::string path, plugin;  // plugin: its id, empty for larder.ini
        IniDocument document;
    };
    struct Written {  // a value and where it stands, before it is bound
        std::string text;
        Origin origin;
    };

    void read_files();
    void read_file(const std::string& path, const std::string& plugin);
    void collect(const RawFile& file);
    std::shared_ptr<const Section> bind(const Declaration& declaration);
    Section::Item bind_setting(const Declaration& declaration, const Setting& setting);
    const Written* strongest(const std::string& section, const std::string& key) const;
    void judge_own_file();
    void judge_plugin_files(std::span<const Declaration> plugins);
    void judge_overrides(std::span<const Declaration> plugins, bool own);
    void judge_environment(std::span<const Declaration> plugins);
    void check_keys(const RawFile& file, const Declaration& declaration);
    void fault(std::string file, unsigned line, std::string key, std::string message);

    const Sources sources_;
    std::vector<RawFile> files_;
    // Values by section and key, one map a source, the strongest first.
    std::map<std::pair<std::string, std::string>, Written> from_command_line_, from_environment_,
        from_files_;
    std::map<std::string, std::string> variables_;  // variable → the "section.key" it was bound to
    Configuration own_;
    std::vector<Fault> faults_;
    std::vector<std::string> warnings_;
};

}  // namespace larder::config
