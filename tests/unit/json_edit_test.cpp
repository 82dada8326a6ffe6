// Random merge and JSON patches against edits done the slow and obvious way.
#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "larder/error.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/json_merge.hpp"
#include "storage-kit/json_patch.hpp"
#include "storage-kit/json_pointer.hpp"
#include "support/naive_json.hpp"
#include "support/suite.hpp"

namespace {

namespace json = larder::storage::json;
using larder::test::NaiveJson;

constexpr std::uint64_t kPlenty = 1U << 30U;

// Values with few names, so that patches meet what is there; long arrays and large objects among
// them, so that runs are cut and indices made.
class Author {
public:
    explicit Author(unsigned seed) : random_(seed) {}

    unsigned pick(unsigned below) { return static_cast<unsigned>(random_() % below); }

    std::string value(int depth) {
        switch (pick(depth > 0 ? 8 : 4)) {
            case 0: return "null";
            case 1: return fmt::format("{}", pick(100));
            case 2: return scalars_[pick(scalars_.size())];
            case 3: return pick(20) == 0 ? fmt::format("\"{}\"", std::string(5000, 'x')) : "true";
            case 4:
            case 5: return array(depth);
            default: return object(depth);
        }
    }

    std::string name() {
        if (pick(3) == 0) return fmt::format("\"k{}\"", pick(40));
        return names_[pick(names_.size())];
    }

    std::string merge(int depth) { return pick(5) == 0 ? value(depth) : object(depth); }

    // A pointer into `document`, or just beyond it.
    std::vector<std::string> tokens(const NaiveJson& document) {
        std::vector<std::string> tokens;
        const NaiveJson* at = &document;
        while (at->kind != 's' && pick(6) != 0) {
            if (at->children.empty() || pick(5) == 0) {
                tokens.push_back(at->kind == 'o' ? json::unquoted(name()) : index(*at));
                return tokens;
            }
            const std::size_t place = pick(static_cast<unsigned>(at->children.size()));
            const auto& [literal, child] = at->children[place];
            tokens.push_back(at->kind == 'o' ? json::unquoted(literal) : std::to_string(place));
            at = &child;
        }
        if (pick(15) == 0) tokens.emplace_back("0");
        return tokens;
    }

private:
    std::string index(const NaiveJson& array) {
        switch (pick(6)) {
            case 0: return "01";
            case 1: return std::to_string(array.children.size() + 1);
            case 2: return std::to_string(array.children.size());
            default: return "-";
        }
    }

    std::string array(int depth) {
        std::string out = "[";
        const unsigned count = pick(25) == 0 ? 400 : pick(5);
        for (unsigned i = 0; i < count; ++i) {
            if (i > 0) out += ',';
            out += count > 5 ? fmt::format("{}", i) : value(depth - 1);
        }
        return out + "]";
    }

    std::string object(int depth) {
        NaiveJson out;
        out.kind = 'o';
        const unsigned count = pick(10) == 0 ? 60 : pick(5);
        for (unsigned i = 0; i < count; ++i) {
            const std::string literal = name();
            if (out.place_of(json::unquoted(literal))) continue;
            const std::string text = count > 5 ? "1" : value(depth - 1);
            out.children.push_back({literal, NaiveJson::parse(text)});
        }
        return out.write();
    }

    std::mt19937 random_;
    const std::vector<std::string> scalars_{
        "1e400", "0.1000", "-0", R"("\u0041\/")", "\"\"", "123456789012345678901234567890"};
    const std::vector<std::string> names_{R"("a")", R"("b")",   R"("c")",       R"("\u0061b")",
                                          R"("")",  R"("a/b")", R"("m~n\"\\")", R"("0")"};
};

std::string pointer(const std::vector<std::string>& tokens) {
    std::string text;
    for (const std::string& token : tokens) {
        text += '/';
        for (const char c : token) {
            if (c == '~') {
                text += "~0";
            } else if (c == '/') {
                text += "~1";
            } else {
                text += c;
            }
        }
    }
    return json::quoted(text);
}

bool begins_with(const std::vector<std::string>& tokens, const std::vector<std::string>& start) {
    return tokens.size() > start.size() && std::equal(start.begin(), start.end(), tokens.begin());
}

std::string both(const std::string& target, const std::string& patch) {
    return fmt::format("{} with {}", target, patch);
}

class JsonEditTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(JsonEditTest);
    CPPUNIT_TEST(random_merges);
    CPPUNIT_TEST(random_patches);
    CPPUNIT_TEST(random_pointers);
    CPPUNIT_TEST_SUITE_END();

public:
    void random_merges() {
        Author author(7396);
        for (int i = 0; i < 5000; ++i) {
            const std::string target = json::compact(author.value(4));
            const std::string patch = json::compact(author.merge(4));
            NaiveJson model = NaiveJson::parse(target);
            model.merge(NaiveJson::parse(patch));
            const std::string merged = json::merge_patch(target, patch, kPlenty);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(both(target, patch), model.write(), merged);
            json::check(merged);
        }
    }

    // A patch of up to 40 operations; the model tells which of them is the first to fail.
    void random_patches() {
        Author author(6902);
        int applied = 0;
        for (int i = 0; i < 4000; ++i) {
            const std::string target = json::compact(author.value(4));
            NaiveJson model = NaiveJson::parse(target);
            std::string patch = "[";
            int failing = -1;
            const int count = static_cast<int>(author.pick(40));
            for (int number = 0, tries = 0; tries < count && failing < 0; ++tries) {
                NaiveJson after = model;
                std::string text;
                const bool works = operation(author, after, text);
                if (!works && author.pick(25) != 0) continue;
                if (number > 0) patch += ',';
                patch += text;
                if (!works) failing = number;
                if (works) model = std::move(after);
                ++number;
            }
            patch += "]";
            try {
                const std::string result = json::Patch::parse(patch).apply(target, kPlenty);
                CPPUNIT_ASSERT_EQUAL_MESSAGE(both(target, patch), -1, failing);
                CPPUNIT_ASSERT_EQUAL_MESSAGE(both(target, patch), model.write(), result);
                json::check(result);
                ++applied;
            } catch (const larder::Error& error) {
                CPPUNIT_ASSERT_EQUAL_MESSAGE(both(target, patch), fmt::format("\"/{}\"", failing),
                                             error.members().at(0).second);
            }
        }
        CPPUNIT_ASSERT(applied > 1000 && applied < 3900);
    }

    void random_pointers() {
        Author author(6901);
        for (int i = 0; i < 5000; ++i) {
            const std::string document = json::compact(author.value(5));
            NaiveJson model = NaiveJson::parse(document);
            const auto tokens = author.tokens(model);
            const auto parsed = json::Pointer::parse(json::unquoted(pointer(tokens)));
            CPPUNIT_ASSERT(parsed.tokens() == tokens);
            const auto found = json::find(document, parsed);
            const NaiveJson* const expected = model.find(tokens);
            CPPUNIT_ASSERT_EQUAL(expected != nullptr, found.has_value());
            if (found) CPPUNIT_ASSERT_EQUAL(expected->write(), std::string(*found));
        }
    }

private:
    // Writes one operation and does it to the model; false where it must fail.
    static bool operation(Author& author, NaiveJson& model, std::string& patch) {
        const auto path = author.tokens(model);
        const auto from = author.tokens(model);
        const std::string value = author.value(2);
        const std::string at = fmt::format(R"("path":{})", pointer(path));
        const unsigned kind = author.pick(6);
        if (kind == 0 || (kind > 3 && begins_with(path, from))) {
            patch += fmt::format(R"({{"op":"add",{},"value":{}}})", at, value);
            return model.add(path, NaiveJson::parse(value));
        }
        if (kind == 1) {
            patch += fmt::format(R"({{"op":"remove",{}}})", at);
            return model.remove(path);
        }
        if (kind == 2) {
            patch += fmt::format(R"({{"op":"replace",{},"value":{}}})", at, value);
            NaiveJson* const found = model.find(path);
            if (found != nullptr) *found = NaiveJson::parse(value);
            return found != nullptr;
        }
        NaiveJson* const source = model.find(kind == 3 ? path : from);
        if (kind == 3) {
            const std::string same = source != nullptr ? source->write() : value;
            patch += fmt::format(R"({{"op":"test",{},"value":{}}})", at, same);
            return source != nullptr;
        }
        const char* const op = kind == 4 ? "move" : "copy";
        patch += fmt::format(R"({{"op":"{}",{},"from":{}}})", op, at, pointer(from));
        if (source == nullptr) return false;
        NaiveJson taken = *source;
        if (kind == 4 && path == from) return true;
        if (kind == 4 && !model.remove(from)) return false;
        return model.add(path, std::move(taken));
    }
};

LARDER_TEST_SUITE(JsonEditTest);

}  // namespace
