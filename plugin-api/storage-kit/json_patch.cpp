#include "storage-kit/json_patch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "larder/error.hpp"
#include "storage-kit/json_compare.hpp"
#include "storage-kit/json_limits.hpp"
#include "storage-kit/json_pointer.hpp"
#include "storage-kit/json_tree.hpp"

namespace larder::storage::json {
namespace {

enum class Action { add = 1, remove, replace, move, copy, test };

// What is walked through by recursion stays this shallow; more is counted and refused.
constexpr std::size_t kMaxDepthOnTheWay = 2 * kMaxDepth;

struct Operation {
    Action action = Action::test;
    Pointer path, from;
    std::string_view value;
    std::size_t depth = 0;  // of the value
};

[[noreturn]] void refuse(const std::string& pointer, std::string detail) {
    throw Error(Errc::unprocessable, "invalid-patch", std::move(detail))
        .with("pointer", quoted(pointer));
}

// One operation's members; others than these are passed over (section 4).
struct Members {
    std::string_view op, path, from, value;
};

Members members_of(std::string_view object) {
    Members members;
    std::string scratch;
    for (Walk child(object); child.next();) {
        const std::string_view name = text_of(child.name(), scratch);
        if (name == "op") members.op = child.value();
        if (name == "path") members.path = child.value();
        if (name == "from") members.from = child.value();
        if (name == "value") members.value = child.value();
    }
    return members;
}

std::string string_of(const std::string& pointer, const char* name, std::string_view value) {
    const std::string place = fmt::format("{}/{}", pointer, name);
    if (value.empty()) refuse(pointer, fmt::format("the operation lacks its member {}", name));
    if (value.front() != '"') refuse(place, fmt::format("{} must be a string", name));
    return unquoted(value);
}

Pointer pointer_of(const std::string& pointer, const char* name, std::string_view value) {
    const std::string text = string_of(pointer, name, value);
    try {
        return Pointer::parse(text);
    } catch (const Error& error) {
        refuse(fmt::format("{}/{}", pointer, name), error.detail());
    }
}

Action action_of(const std::string& pointer, std::string_view op) {
    const std::string name = string_of(pointer, "op", op);
    if (name == "add") return Action::add;
    if (name == "remove") return Action::remove;
    if (name == "replace") return Action::replace;
    if (name == "move") return Action::move;
    if (name == "copy") return Action::copy;
    if (name == "test") return Action::test;
    refuse(pointer + "/op", "op is one of add, remove, replace, move, copy, test");
}

Operation operation_of(const std::string& pointer, std::string_view text) {
    if (text.front() != '{') refuse(pointer, "an operation must be an object");
    const Members members = members_of(text);
    Operation operation;
    operation.action = action_of(pointer, members.op);
    operation.path = pointer_of(pointer, "path", members.path);
    switch (operation.action) {
        case Action::add:
        case Action::replace:
        case Action::test:
            if (members.value.empty()) refuse(pointer, "the operation lacks its member value");
            operation.value = members.value;
            operation.depth = depth_of(members.value);
            break;
        case Action::move:
        case Action::copy: operation.from = pointer_of(pointer, "from", members.from); break;
        case Action::remove: break;
    }
    if (operation.action == Action::move && operation.path.is_below(operation.from)) {
        refuse(pointer + "/from", "a value cannot be moved into itself");
    }
    return operation;
}

class Run {
public:
    Run(std::string_view target, const LongParts& known, std::uint64_t max_bytes)
        : tree_(target, known), known_(known), max_bytes_(max_bytes) {}

    void step(const Operation& operation, std::size_t number) {
        const char* const why = change(operation);
        if (why != nullptr) fail("patch-failed", number, why);
        // Copies share what they are copies of, so only the text that is asked for takes memory;
        // but nothing that is to be looked through may grow by doubling.
        if (tree_.size() / 4 > max_bytes_) require_size(tree_.size(), max_bytes_);
        if (deepest_ > kMaxDepthOnTheWay) {
            deepest_ = tree_.depth();
            require_depth(deepest_);
        }
    }

    void test(const Operation& operation, std::size_t number) {
        const Node* const node = tree_.find(operation.path);
        if (node == nullptr) fail("patch-test-failed", number, "there is nothing at its path");
        if (!is_equal(*node, operation.value)) {
            fail("patch-test-failed", number, "what is at its path is not equal to its value");
        }
    }

    std::string take() {
        require_size(tree_.size(), max_bytes_);
        if (deepest_ > kMaxDepth) require_depth(tree_.depth());
        return tree_.text();
    }

private:
    [[noreturn]] static void fail(const char* slug, std::size_t number, const char* why) {
        throw Error(Errc::conflict, slug, fmt::format("operation {}: {}", number, why))
            .with("pointer", fmt::format("\"/{}\"", number));
    }

    const char* change(const Operation& operation) {
        const std::size_t level = operation.path.tokens().size();
        switch (operation.action) {
            case Action::add:
            case Action::replace: {
                deepest_ = std::max(deepest_, level + operation.depth);
                const Node node{operation.value, nullptr};
                return operation.action == Action::add ? tree_.add(operation.path, node)
                                                       : tree_.replace(operation.path, node);
            }
            case Action::remove: return tree_.remove(operation.path);
            case Action::move:
            case Action::copy: break;
            case Action::test: return nullptr;
        }
        const Node* const found = tree_.find(operation.from);
        if (found == nullptr) return "there is nothing at its from";
        const Node node = *found;
        const std::size_t from_level = operation.from.tokens().size();
        if (level > from_level) deepest_ += level - from_level;
        if (operation.action == Action::move) {
            if (operation.path.tokens() == operation.from.tokens()) return nullptr;
            if (const char* const why = tree_.remove(operation.from)) return why;
        }
        return tree_.add(operation.path, node);
    }

    bool is_equal(const Node& node, std::string_view value) const {
        if (!node.container) return equal(node.text, value, &tree_.known_of(node.text), &known_);
        std::string text;
        Tree::write(node, text);
        const LongParts parts(text);
        return equal(text, value, &parts, &known_);
    }

    Tree tree_;
    const LongParts& known_;
    const std::uint64_t max_bytes_;
    std::size_t deepest_ = kMaxDepth;  // no part of the value is deeper than this
};

}  // namespace

struct Patch::Parsed {
    explicit Parsed(std::string_view compact) : text(compact), known(text) {}

    const std::string text;
    const LongParts known;
    std::vector<Operation> operations;
};

Patch Patch::parse(std::string_view compact) {
    if (compact.empty() || compact.front() != '[') {
        refuse("", "a JSON patch is an array of operations");
    }
    auto parsed = std::make_shared<Parsed>(compact);
    std::size_t number = 0;
    for (Walk child(parsed->text, &parsed->known); child.next(); ++number) {
        if (number == kMaxOperations) {
            refuse(fmt::format("/{}", number),
                   fmt::format("a JSON patch has at most {} operations", kMaxOperations));
        }
        parsed->operations.push_back(operation_of(fmt::format("/{}", number), child.value()));
    }
    return Patch(std::move(parsed));
}

std::string Patch::apply(std::string_view target, std::uint64_t max_bytes) const {
    Run run(target, parsed_->known, max_bytes);
    std::size_t number = 0;
    for (const Operation& operation : parsed_->operations) {
        if (operation.action == Action::test) {
            run.test(operation, number);
        } else {
            run.step(operation, number);
        }
        ++number;
    }
    return run.take();
}

}  // namespace larder::storage::json
