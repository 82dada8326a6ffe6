// Tables of the daemon's settings, and the .ini text that is made of a table. Not the reading of
// it.
#include "config/declarations.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "config/ini.hpp"
#include "config/value.hpp"

namespace larder::config {

namespace {

// key, type, fallback, least, most, says, live, secret
constexpr Setting kDaemon[] = {
    {"data_dir", "path", "/var/lib/larder", nullptr, nullptr,
     "The folder that holds all data; one daemon at a time may use it.", false, false},
    {"plugin_dirs", "text", "", nullptr, nullptr,
     "Folders with further plugins, absolute and comma-separated. Those that ship are in "
     "lib/larder/plugins beside the executable's folder, or in larder/plugins where the system "
     "keeps its libraries.",
     false, false},
    {"worker_threads", "integer", "16", "1", "1024",
     "Threads for handlers that wait for files and databases.", false, false},
    {"worker_queue", "integer", "1024", "1", "1000000",
     "Requests that may wait for such a thread; beyond it they are answered 503.", false, false},
    {"drain_timeout", "duration", "10s", "100ms", "1h",
     "How long requests under way may take when the daemon or a plugin stops, before they are cut.",
     true, false},
    {"start_timeout", "duration", "10m", "100ms", "1d",
     "How long a plugin's start may take before it is given up as stuck; it may have much data to "
     "recover.",
     true, false},
    {"stop_timeout", "duration", "60s", "100ms", "1h",
     "How long a plugin's calls and its stop may take once its time to drain is over, before it is "
     "given up as stuck.",
     true, false},
    {"log_level", "choice:debug|info|notice|warning|error", "info", nullptr, nullptr,
     "Messages below this level are not logged.", true, false},
    {"log_target", "choice:stderr|files", "stderr", nullptr, nullptr,
     "Where messages go: stderr (the journal, under systemd) or logs/app.log and logs/error.log in "
     "the "
     "data folder.",
     false, false},
    {"access_log", "flag", "true", nullptr, nullptr,
     "Write a line for each request to logs/access.log in the data folder.", true, false},
    {"log_size", "bytes", "64MiB", "4KiB", "1TiB",
     "How large a file in logs/ grows before it is numbered and begun anew.", false, false},
    {"log_files", "integer", "5", "0", "1000",
     "How many numbered ones of each are kept: app.log.1, app.log.2 and so on.", false, false},
    {"time_zone", "choice:local|utc", "local", nullptr, nullptr,
     "Whose clock the times of day in schedules are of: the machine's zone, or UTC.", false, false},
};

constexpr Setting kHttp[] = {
    {"listen", "text", "127.0.0.1:8080", nullptr, nullptr,
     "Addresses to listen on, comma-separated: 127.0.0.1:8080, [::1]:8080, unix:/run/x.sock.",
     false, false},
    {"socket", "path", "", nullptr, nullptr,
     "The Unix socket for administration; empty means larder.sock in $RUNTIME_DIRECTORY, or else "
     "in "
     "the data folder.",
     false, false},
    {"reactors", "integer", "cores", "1", "256", "Threads that serve connections.", false, false},
    {"head_timeout", "duration", "30s", "100ms", "1h",
     "How long a request's head may take from its first byte.", true, false},
    {"body_timeout", "duration", "60s", "100ms", "1h",
     "How long a body may stand still, either way.", true, false},
    {"idle_timeout", "duration", "75s", "100ms", "1d",
     "How long a connection may wait for its next request before it is closed.", true, false},
    {"max_connections", "integer", "20000", "1", "1000000",
     "Connections open at once; further ones are refused.", true, false},
    {"allowed_hosts", "text", "", nullptr, nullptr,
     "Further host names that requests may be addressed to, comma-separated.", true, false},
    {"allowed_origins", "text", "", nullptr, nullptr,
     "Further web origins whose pages may send requests that change something, comma-separated: "
     "https://admin.example.com.",
     true, false},
    {"allow_insecure", "flag", "false", nullptr, nullptr,
     "Allow listening beyond this machine without TLS or without authentication.", false, false},
    {"tls_certificate", "path", "", nullptr, nullptr,
     "Certificate chain, PEM; TLS is on when this and tls_key are set. A reload reads the files "
     "anew.",
     false, false},
    {"tls_key", "path", "", nullptr, nullptr, "The certificate's private key, PEM.", false, false},
};

constexpr Setting kAuth[] = {
    {"enabled", "flag", "false", nullptr, nullptr,
     "Ask every caller for a token or a user's password; not root and not larderd's own user on a "
     "Unix socket.",
     false, false},
    {"failures_per_user", "integer", "10", "1", "1000000",
     "Wrong passwords for one user name, within failure_window, before further ones are refused "
     "untried.",
     true, false},
    {"failures_per_address", "integer", "50", "1", "1000000",
     "The same from one address, whatever the names.", true, false},
    {"failure_window", "duration", "5m", "1s", "1d",
     "How long wrong passwords are counted together.", true, false},
    {"remember", "duration", "5m", "0s", "1d",
     "How long a right password is remembered in memory, so that a client that sends it with each "
     "request does not cost a slow check each time; 0 never.",
     true, false},
};

constexpr Setting kAlerts[] = {
    {"webhook_url", "text", "", nullptr, nullptr,
     "Where alerts are posted to as JSON when they are raised and when they are over: http://… or "
     "https://…",
     true, true},
    {"webhook_secret", "text", "", nullptr, nullptr,
     "What such posts are signed with (HMAC-SHA-256, header Larder-Signature); empty: they are "
     "not.",
     true, true},
    {"smtp_url", "text", "", nullptr, nullptr,
     "The mail server that takes alerts: smtp://HOST[:PORT], or "
     "smtps://[USER:PASSWORD@]HOST[:PORT].",
     true, true},
    {"mail_to", "text", "", nullptr, nullptr, "Whom they are for, comma-separated.", true, false},
    {"mail_from", "text", "", nullptr, nullptr,
     "Whom they are from; empty: larderd at this machine's name.", true, false},
    {"quota_percent", "integer", "90", "1", "100",
     "An alert is raised when so many percent of a plugin's quota are used; looked at each hour.",
     true, false},
    {"disk_percent", "integer", "95", "1", "100",
     "An alert is raised when the file system with the data is filled by so many percent.", true,
     false},
};

constexpr Setting kEnabled{"enabled", "flag", "true", nullptr, nullptr, "Whether this plugin runs.",
                           true,      false};
constexpr Setting kDisabled{
    "enabled", "flag", "false", nullptr, nullptr, "Whether this plugin runs.", true, false};

std::string how_to(std::string_view section, std::string_view key) {
    return fmt::format(
        "# A setting that is commented out shows its default. Comments stand on lines of their "
        "own; a\n"
        "# value may stand in double quotes. The environment ({0} for {1}.{2}) wins\n"
        "# over this file. A SIGHUP or POST /api/reload applies what may change while running.\n",
        variable_of(section, key), section, key);
}

// Cuts a sentence into comment lines of at most 100 columns.
void append_comment(std::string& out, std::string_view sentence) {
    constexpr std::size_t kColumns = 98;
    while (sentence.size() > kColumns) {
        const std::size_t blank = sentence.rfind(' ', kColumns);
        if (blank == std::string_view::npos) break;
        out += fmt::format("# {}\n", sentence.substr(0, blank));
        sentence.remove_prefix(blank + 1);
    }
    out += fmt::format("# {}\n", sentence);
}

// As a reader would have to write it.
std::string as_written(std::string_view value) {
    if (value.find_first_of("\"#;") == std::string_view::npos) return std::string(value);
    std::string quoted = "\"";
    for (const char c : value) {
        if (c == '"' || c == '\\') quoted += '\\';
        quoted += c;
    }
    return quoted + '"';
}

void append_setting(std::string& out, const Setting& setting) {
    out += '\n';
    append_comment(out, setting.says);
    append_comment(out, fmt::format("({}; {})", describe_type(setting),
                                    setting.live ? "a reload applies it" : "needs a restart"));
    const std::string fallback = as_written(setting.fallback);
    out += fmt::format("#{} ={}{}\n", setting.key, fallback.empty() ? "" : " ", fallback);
}

void append_section(std::string& out, const Declaration& declaration) {
    out += fmt::format("\n[{}]\n", declaration.section);
    if (keys_of(declaration).size() > declaration.settings.size()) {
        append_setting(out, enabled_setting(declaration.enabled_by_default));
    }
    for (const Setting& setting : declaration.settings) append_setting(out, setting);
}

}  // namespace

std::span<const Declaration> own_declarations() {
    static const std::array<Declaration, 4> declarations{
        Declaration{.section = "daemon", .settings = kDaemon, .plugin = false},
        Declaration{.section = "http", .settings = kHttp, .plugin = false},
        Declaration{.section = "auth", .settings = kAuth, .plugin = false},
        Declaration{.section = "alerts", .settings = kAlerts, .plugin = false},
    };
    return declarations;
}

void check_declaration(const Declaration& declaration) {
    if (!is_ini_name(declaration.section)) {
        throw Error(
            Errc::internal, "bad-declaration",
            fmt::format("'{}' is no name for a section: expected lower case letters, digits "
                        "and _",
                        shown(declaration.section)));
    }
    std::set<std::string_view> keys;
    for (const Setting& setting : declaration.settings) {
        check_setting(setting);
        if (keys.insert(setting.key).second) continue;
        throw Error(
            Errc::internal, "bad-declaration",
            fmt::format("setting '{}.{}' is declared twice", declaration.section, setting.key));
    }
    for (const Setting& setting : declaration.settings) {
        if (!declaration.plugin || std::string_view(setting.key) != "enabled") continue;
        if (std::string_view(setting.type) == "flag") continue;
        throw Error(Errc::internal, "bad-declaration",
                    fmt::format("setting '{}.enabled' is the host's flag, declared here as {}",
                                declaration.section, setting.type));
    }
}

std::string variable_of(std::string_view section, std::string_view key) {
    std::string name("LARDER_");
    name.append(section).append("_").append(key);
    for (char& c : name) {
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    return name;
}

std::vector<std::string> keys_of(const Declaration& declaration) {
    std::vector<std::string> keys;
    for (const Setting& setting : declaration.settings) keys.emplace_back(setting.key);
    if (declaration.plugin && std::ranges::find(keys, "enabled") == keys.end()) {
        keys.insert(keys.begin(), "enabled");
    }
    return keys;
}

const Setting& enabled_setting(bool enabled_by_default) noexcept {
    return enabled_by_default ? kEnabled : kDisabled;
}

std::string etc_text(const Declaration& declaration, std::string_view summary) {
    std::string out = fmt::format("# The {} plugin: {}\n#\n", declaration.section, summary);
    const std::string_view key =
        declaration.settings.empty() ? "enabled" : declaration.settings.back().key;
    out += how_to(declaration.section, key);
    append_section(out, declaration);
    return out;
}

std::string own_etc_text() {
    std::string out =
        "# larder.ini: the settings of the daemon itself. Those of a plugin stand in "
        "plugins.d/<id>.ini\n"
        "# beside this file.\n#\n";
    out += how_to("http", "listen");
    for (const Declaration& declaration : own_declarations()) append_section(out, declaration);
    return out;
}

}  // namespace larder::config
