// The commands that larderctl's own help lists, for tests that want all of them.
#pragma once

#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace larder::test {

struct KnownCommand {
    std::vector<std::string> name;       // "kv", "get"
    std::vector<std::string> arguments;  // "BUCKET", "[FILE]"
    std::string text() const { return name.size() > 1 ? name[0] + " " + name[1] : name[0]; }
};

inline std::vector<std::string> words_of(const std::string& text) {
    std::istringstream stream(text);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    return words;
}

// Of what `larderctl --help` prints.
inline std::vector<KnownCommand> commands_of(const std::string& help) {
    static const std::regex line(R"(^  ([a-z-]+(?: [a-z-]+)?)((?: [^ ]+)*?) {2,}\S.*$|)"
                                 R"(^  ([a-z-]+(?: [a-z-]+)?)((?: \S+)*)  *[A-Z].*$)");
    std::vector<KnownCommand> known;
    std::istringstream text(help);
    for (std::string one; std::getline(text, one) && one != "options:";) {
        std::smatch found;
        if (!std::regex_match(one, found, line)) continue;
        const bool first = found[1].matched;
        known.push_back({words_of(found[first ? 1 : 3]), words_of(found[first ? 2 : 4])});
    }
    return known;
}

}  // namespace larder::test
