// What a command of larderctl is, and the words it was given. Not what the commands do: those stand
// in the *_commands.cpp files.
#pragma once

#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client.hpp"

namespace larder::ctl {

// What the process ends with. larderctl(1) documents them.
enum Exit : int {
    kOk = 0,
    kRefused = 1,      // the daemon said no, or what was checked is not well
    kUsage = 2,        // the command line is wrong
    kUnreachable = 3,  // no daemon answers
    kLocal = 4,        // a file here cannot be read or written
};

// A mistake on the command line; exit 2.
class UsageError : public std::exception {
public:
    explicit UsageError(std::string message) : message_(std::move(message)) {}
    const char* what() const noexcept override { return message_.c_str(); }

private:
    std::string message_;
};

// A file of ours that cannot be read or written; exit 4.
class LocalError : public std::exception {
public:
    explicit LocalError(std::string message) : message_(std::move(message)) {}
    const char* what() const noexcept override { return message_.c_str(); }

private:
    std::string message_;
};

struct Option {
    std::string_view name;      // "--ttl"
    std::string_view argument;  // "SECONDS"; empty: a flag
    std::string_view says;
};

// What was given to a command: its arguments in order, and its options, the last of two winning.
class Words {
public:
    std::vector<std::string> arguments;
    std::map<std::string, std::string, std::less<>> options;

    bool flag(std::string_view name) const { return options.contains(name); }
    std::optional<std::string> value(std::string_view name) const {
        const auto found = options.find(name);
        return found == options.end() ? std::nullopt : std::optional(found->second);
    }
};

// What a command works with. The daemon is looked for when it is first asked for.
struct Context {
    Words words;
    bool json = false;  // print what the daemon said, as it said it
    Target target;

    Client client() const { return Client(target); }
};

struct Command {
    std::string_view name;       // "kv get"
    std::string_view arguments;  // "BUCKET KEY", as it stands in the help
    std::size_t least, most;     // how many of them
    std::string_view summary;
    std::vector<Option> options;
    int (*run)(Context&);
    bool asks_daemon = true;
};

std::vector<Command> account_commands();
std::vector<Command> daemon_commands();
std::vector<Command> offline_commands();
std::vector<Command> kv_commands();
std::vector<Command> cache_commands();
std::vector<Command> storage_commands();
std::vector<Command> support_commands();
std::vector<Command> file_commands();
std::vector<Command> backup_commands();
std::vector<Command> metrics_commands();
std::vector<Command> program_commands();

}  // namespace larder::ctl
