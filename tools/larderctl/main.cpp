// larderctl: an admin's and a script's way to larderd. Here is the command line alone: which
// command is meant, its options, its help, and what the process ends with.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>

#include <Poco/Exception.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "command.hpp"
#include "completion.hpp"
#include "config/nearest.hpp"

namespace larder::ctl {
namespace {

const std::vector<Option>& common_options() {
    static const std::vector<Option> options = {
        {"--socket", "PATH", "larderd's Unix socket (LARDER_SOCKET)"},
        {"--url", "http://HOST:PORT", "its address, instead of a socket (LARDER_URL)"},
        {"--json", "", "print what larderd said as JSON"},
        {"--help", "", "print this and end"},
    };
    return options;
}

const std::vector<Command>& commands();

int print_completion(Context& context) {
    std::cout << completion(context.words.arguments[0], commands(), common_options());
    return kOk;
}

const std::vector<Command>& commands() {
    static const std::vector<Command> all = [] {
        std::vector<Command> made = daemon_commands();
        for (auto more : {storage_commands(), account_commands(), kv_commands(), file_commands(),
                          backup_commands(), metrics_commands(), cache_commands(),
                          program_commands(), support_commands(), offline_commands()}) {
            made.insert(made.end(), more.begin(), more.end());
        }
        made.push_back({"completion",
                        "bash|zsh|fish",
                        1,
                        1,
                        "Print a script that completes commands and options in a shell",
                        {},
                        print_completion,
                        false});
        return made;
    }();
    return all;
}

void print_options(const std::vector<Option>& options) {
    for (const Option& option : options) {
        std::cout << fmt::format("  {:<28} {}\n",
                                 fmt::format("{} {}", option.name, option.argument), option.says);
    }
}

void print_overview() {
    std::cout << "usage: larderctl [OPTIONS] COMMAND [ARGUMENTS]\n\ncommands:\n";
    for (const Command& command : commands()) {
        std::cout << fmt::format("  {:<40} {}\n",
                                 fmt::format("{} {}", command.name, command.arguments),
                                 command.summary);
    }
    std::cout << "\noptions:\n";
    print_options(common_options());
    std::cout
        << "\nlarderctl COMMAND --help tells a command's own options; larderctl(1) the rest.\n";
}

void print_help(const Command& command) {
    std::cout << fmt::format("usage: larderctl {} {}\n\n{}.\n\noptions:\n", command.name,
                             command.arguments, command.summary);
    print_options(command.options);
    print_options(common_options());
}

// The command whose name the first words are; it takes them off.
const Command& command_of(std::vector<std::string>& words) {
    for (const Command& command : commands()) {
        const std::size_t space = command.name.find(' ');
        const std::string first(command.name.substr(0, space));
        if (words.front() != first) continue;
        if (space == std::string_view::npos) {
            words.erase(words.begin());
            return command;
        }
        if (words.size() > 1 && words[1] == command.name.substr(space + 1)) {
            words.erase(words.begin(), words.begin() + 2);
            return command;
        }
    }
    std::vector<std::string> names, members;
    for (const Command& command : commands()) {
        names.emplace_back(command.name);
        const bool is_member = command.name.starts_with(words.front() + " ");
        if (is_member) members.emplace_back(command.name.substr(words.front().size() + 1));
    }
    if (!members.empty()) {
        throw UsageError(
            fmt::format("'{}' wants one of {}", words.front(), fmt::join(members, ", ")));
    }
    throw UsageError(fmt::format("unknown command '{}'{}; larderctl --help lists them",
                                 words.front(), config::did_you_mean(words.front(), names)));
}

const Option* find_option(const std::vector<Option>& options, std::string_view name) {
    const auto found = std::find_if(options.begin(), options.end(),
                                    [name](const Option& option) { return option.name == name; });
    return found == options.end() ? nullptr : &*found;
}

// Sorts the words after a command's name, or before it, into options and arguments.
class Reader {
public:
    Reader(std::vector<std::string> words, const std::vector<Option>& own)
        : words_(std::move(words)), own_(own) {}

    // False: the word at hand is no option.
    bool take_option(std::size_t& at, Words& into) const {
        const std::string& word = words_[at];
        if (word.size() < 2 || word.front() != '-') return false;
        const std::size_t equals = std::min(word.find('='), word.size());
        std::string name = word.substr(0, equals);
        if (name == "-h") name = "--help";
        const Option* option = find_option(own_, name);
        if (option == nullptr) option = find_option(common_options(), name);
        if (option == nullptr) {
            std::vector<std::string> names;
            for (const auto* options : {&own_, &common_options()}) {
                for (const Option& known : *options) names.emplace_back(known.name);
            }
            throw UsageError(
                fmt::format("unknown option '{}'{}; write -- before an argument that "
                            "begins with '-'",
                            name, config::did_you_mean(name, names)));
        }
        if (option->argument.empty()) {
            if (equals != word.size()) throw UsageError(fmt::format("{} takes no value", name));
            into.options[name];
        } else if (equals != word.size()) {
            into.options[name] = word.substr(equals + 1);
        } else if (++at < words_.size()) {
            into.options[name] = words_[at];
        } else {
            throw UsageError(fmt::format("{} wants {}", name, option->argument));
        }
        return true;
    }

    Words all() const {
        Words sorted;
        bool only_arguments = false;
        for (std::size_t at = 0; at < words_.size(); ++at) {
            if (!only_arguments && words_[at] == "--") {
                only_arguments = true;
            } else if (only_arguments || !take_option(at, sorted)) {
                sorted.arguments.push_back(words_[at]);
            }
        }
        return sorted;
    }

private:
    const std::vector<std::string> words_;
    const std::vector<Option>& own_;
};

Target target_of(const Words& words) {
    const auto variable = [](const char* name) -> std::optional<std::string> {
        const char* value = std::getenv(name);
        if (value == nullptr || *value == '\0') return std::nullopt;
        return value;
    };
    const auto socket = words.value("--socket"), url = words.value("--url");
    if (socket && url) throw UsageError("--socket and --url name two places; give one of them");
    const auto named = [](const std::string& path) {
        Target target;
        target.socket = path;
        return target;
    };
    try {
        if (socket) return named(*socket);
        if (url) return target_of_url(*url);
        if (const auto path = variable("LARDER_SOCKET")) return named(*path);
        if (const auto address = variable("LARDER_URL")) return target_of_url(*address);
    } catch (const std::invalid_argument& error) {
        throw UsageError(error.what());
    }
    return default_target();
}

int run_command(std::vector<std::string> words) {
    static const std::vector<Option> none;
    Words before;
    const Reader global(words, none);
    std::size_t at = 0;
    while (at < words.size() && global.take_option(at, before)) ++at;
    words.erase(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(at));
    if (words.empty()) {
        print_overview();
        return before.flag("--help") ? kOk : kUsage;
    }
    const Command& command = command_of(words);
    Context context;
    context.words = Reader(std::move(words), command.options).all();
    context.words.options.insert(before.options.begin(), before.options.end());
    if (context.words.flag("--help")) {
        print_help(command);
        return kOk;
    }
    const std::size_t count = context.words.arguments.size();
    if (count < command.least || count > command.most) {
        throw UsageError(fmt::format(
            "{}: expected {}, got {} arguments; see larderctl {} --help", command.name,
            command.arguments.empty() ? "no argument" : command.arguments, count, command.name));
    }
    context.json = context.words.flag("--json");
    if (command.asks_daemon) context.target = target_of(context.words);
    return command.run(context);
}

int run(const std::vector<std::string>& words) {
    try {
        return run_command(words);
    } catch (const UsageError& error) {
        std::cerr << "larderctl: " << error.what() << '\n';
        return kUsage;
    } catch (const Refused& error) {
        std::cerr << "larderctl: " << error.what() << '\n';
        return kRefused;
    } catch (const Unreachable& error) {
        std::cerr << "larderctl: " << error.what() << '\n';
        return kUnreachable;
    } catch (const LocalError& error) {
        std::cerr << "larderctl: " << error.what() << '\n';
        return kLocal;
    } catch (const Poco::Exception& error) {
        std::cerr << "larderctl: larderd's answer cannot be read: " << error.displayText()
                  << "; are both of one version?\n";
        return kUnreachable;
    }
}

}  // namespace

}  // namespace larder::ctl

int main(int argc, char** argv) {
    signal(SIGPIPE, SIG_IGN);  // a daemon that left is told by the write
    const int code = larder::ctl::run({argv + 1, argv + argc});
    std::cout.flush();
    if (!std::cout) {
        std::cerr << "larderctl: standard output cannot be written\n";
        return larder::ctl::kLocal;
    }
    return code;
}
