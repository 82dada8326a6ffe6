#include "completion.hpp"

#include <fmt/format.h>

#include <utility>

namespace larder::ctl {
namespace {

// What may stand at a place, with what it means.
struct Candidate {
    std::string word, says;
};
using Candidates = std::vector<Candidate>;

struct Group {
    std::string word;  // "kv"
    Candidates members;
};

std::string first_of(const Command& command) {
    return std::string(command.name.substr(0, command.name.find(' ')));
}

std::string second_of(const Command& command) {
    const std::size_t space = command.name.find(' ');
    return space == std::string_view::npos ? "" : std::string(command.name.substr(space + 1));
}

// The first words in their order; those of one word have no members.
std::vector<Group> groups_of(const std::vector<Command>& commands) {
    std::vector<Group> groups;
    for (const Command& command : commands) {
        const std::string first = first_of(command), second = second_of(command);
        Group* group = nullptr;
        for (Group& known : groups) {
            if (known.word == first) group = &known;
        }
        if (group == nullptr) group = &groups.emplace_back(Group{first, {}});
        if (!second.empty()) group->members.push_back({second, std::string(command.summary)});
    }
    return groups;
}

Candidates options_of(const std::vector<Option>& own, const std::vector<Option>& common) {
    Candidates all;
    for (const auto* options : {&own, &common}) {
        for (const Option& option : *options) {
            all.push_back({std::string(option.name), std::string(option.says)});
        }
    }
    return all;
}

Candidates firsts_of(const std::vector<Command>& commands) {
    Candidates all;
    for (const Group& group : groups_of(commands)) {
        std::string says = "commands about it";
        for (const Command& command : commands) {
            if (command.name == group.word) says = command.summary;
        }
        all.push_back({group.word, says});
    }
    return all;
}

// Options that take the next word, for a pattern of the shell's case.
std::string with_argument(const std::vector<Command>& commands, const std::vector<Option>& common) {
    std::string all;
    const auto add = [&](const Option& option) {
        const std::string word(option.name);
        if (option.argument.empty() || ("|" + all + "|").find("|" + word + "|") < all.size())
            return;
        all += (all.empty() ? "" : "|") + word;
    };
    for (const Option& option : common) add(option);
    for (const Command& command : commands) {
        for (const Option& option : command.options) add(option);
    }
    return all;
}

std::string quoted(std::string_view text) {
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'') {
            out += "'\\''";
        } else {
            out += c;
        }
    }
    return out + "'";
}

// A list as bash takes it (words alone) or as zsh's _describe does ('word:what it means').
std::string listed(const Candidates& all, bool says) {
    std::string out;
    for (const auto& [word, meaning] : all) {
        out += out.empty() ? "" : " ";
        out += says ? quoted(word + ":" + meaning) : word;
    }
    return out;
}

// The cases that bash and zsh have in common.
std::string cases(const std::vector<Command>& commands, const std::vector<Option>& common,
                  bool says) {
    std::string out = "    if [[ $current == -* ]]; then\n        case \"$group $member\" in\n";
    for (const Command& command : commands) {
        const std::string second = second_of(command);
        const std::string pattern = second.empty() ? fmt::format("\"{} \"*", command.name)
                                                   : fmt::format("\"{}\"", command.name);
        out += fmt::format("            {}) candidates=({}) ;;\n", pattern,
                           listed(options_of(command.options, common), says));
    }
    out += fmt::format("            *) candidates=({}) ;;\n        esac\n",
                       listed(options_of({}, common), says));
    out += "    elif [[ -z $group ]]; then\n";
    out += fmt::format("        candidates=({})\n", listed(firsts_of(commands), says));
    out += "    elif [[ -z $member ]]; then\n        case $group in\n";
    for (const Group& group : groups_of(commands)) {
        if (group.members.empty()) continue;
        out += fmt::format("            {}) candidates=({}) ;;\n", group.word,
                           listed(group.members, says));
    }
    return out + "        esac\n    fi\n";
}

// From a word before the cursor on, in bash and zsh alike: which command it belongs to, and then
// what may stand at the cursor.
std::string words(const std::vector<Command>& commands, const std::vector<Option>& common,
                  bool says) {
    return fmt::format(
        "        case $word in\n"
        "            {}) ((++i)) ;;\n"
        "            -*) ;;\n"
        "            *) if [[ -z $group ]]; then group=$word; elif [[ -z $member ]]; then "
        "member=$word; fi ;;\n"
        "        esac\n"
        "    done\n"
        "{}",
        with_argument(commands, common), cases(commands, common, says));
}

std::string bash(const std::vector<Command>& commands, const std::vector<Option>& common) {
    return fmt::format(
        "# bash completion of larderctl; made by: larderctl completion bash\n"
        "_larderctl() {{\n"
        "    local current=${{COMP_WORDS[COMP_CWORD]}} group= member= word i\n"
        "    local -a candidates=()\n"
        "    for ((i = 1; i < COMP_CWORD; ++i)); do\n"
        "        word=${{COMP_WORDS[i]}}\n"
        "{}"
        "    COMPREPLY=($(compgen -W \"${{candidates[*]}}\" -- \"$current\"))\n"
        "}}\n"
        "complete -o default -F _larderctl larderctl\n",
        words(commands, common, false));
}

std::string zsh(const std::vector<Command>& commands, const std::vector<Option>& common) {
    return fmt::format(
        "#compdef larderctl\n"
        "# zsh completion of larderctl; made by: larderctl completion zsh\n"
        "_larderctl() {{\n"
        "    local current=${{words[CURRENT]}} group= member= word\n"
        "    local -a candidates=()\n"
        "    integer i\n"
        "    for ((i = 2; i < CURRENT; ++i)); do\n"
        "        word=${{words[i]}}\n"
        "{}"
        "    if (( $#candidates )); then _describe larderctl candidates; else _files; fi\n"
        "}}\n"
        "if [[ $funcstack[1] == _larderctl ]]; then _larderctl \"$@\"; else compdef _larderctl "
        "larderctl; fi\n",
        words(commands, common, true));
}

void add_fish(std::string& out, const std::string& when, const Candidate& candidate) {
    out += fmt::format("complete -c larderctl -n {} -f -a {} -d {}\n", quoted(when), candidate.word,
                       quoted(candidate.says));
}

void add_fish_option(std::string& out, const std::string& when, const Option& option) {
    out += fmt::format("complete -c larderctl{} -l {}{} -d {}\n",
                       when.empty() ? "" : " -n " + quoted(when), option.name.substr(2),
                       option.argument.empty() ? "" : " -r", quoted(option.says));
}

std::string fish(const std::vector<Command>& commands, const std::vector<Option>& common) {
    std::string out = "# fish completion of larderctl; made by: larderctl completion fish\n";
    std::string firsts;
    for (const auto& candidate : firsts_of(commands)) firsts += " " + candidate.word;
    const std::string none = "not __fish_seen_subcommand_from" + firsts;
    for (const auto& candidate : firsts_of(commands)) add_fish(out, none, candidate);
    for (const Group& group : groups_of(commands)) {
        std::string members;
        for (const auto& member : group.members) members += " " + member.word;
        if (members.empty()) continue;
        const std::string when =
            fmt::format("__fish_seen_subcommand_from {}; and not __fish_seen_subcommand_from{}",
                        group.word, members);
        for (const auto& member : group.members) add_fish(out, when, member);
    }
    for (const Command& command : commands) {
        const std::string second = second_of(command);
        std::string when = "__fish_seen_subcommand_from " + first_of(command);
        if (!second.empty()) when += "; and __fish_seen_subcommand_from " + second;
        for (const Option& option : command.options) add_fish_option(out, when, option);
    }
    for (const Option& option : common) add_fish_option(out, "", option);
    return out;
}

}  // namespace

std::string completion(std::string_view shell, const std::vector<Command>& commands,
                       const std::vector<Option>& common_options) {
    if (shell == "bash") return bash(commands, common_options);
    if (shell == "zsh") return zsh(commands, common_options);
    if (shell == "fish") return fish(commands, common_options);
    throw UsageError(
        fmt::format("there is no completion for '{}'; the shells are bash, zsh and fish", shell));
}

}  // namespace larder::ctl
