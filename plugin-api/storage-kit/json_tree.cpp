#include "storage-kit/json_tree.hpp"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

namespace larder::storage::json {
namespace {

constexpr std::size_t kRunElements = 128;
constexpr std::size_t kRunBytes = 4096;
constexpr std::size_t kFewMembers = 16;  // looked through one by one for ever
constexpr std::size_t kFewLookups = 8;   // more are worth an index

constexpr const char* kNoParent = "what should hold it is not there, or holds nothing";
constexpr const char* kNotThere = "there is nothing at that place";
constexpr const char* kNoIndex =
    "an array's place is a number without leading zeros, or - for the "
    "end";
constexpr const char* kBeyondEnd = "that is beyond the array's end";

std::size_t depth_of_node(const Node& node);

std::size_t deepest_child(const Object& object) {
    std::size_t depth = 0;
    for (const Member& member : object.members()) {
        if (!member.gone) depth = std::max(depth, depth_of_node(member.value));
    }
    return depth;
}

std::size_t deepest_child(const Array& array) {
    std::size_t depth = 0;
    for (const Array::Run& run : array.runs()) {
        if (run.nodes.empty()) depth = std::max(depth, depth_of(run.text));
        for (const Node& node : run.nodes) depth = std::max(depth, depth_of_node(node));
    }
    return depth;
}

std::size_t depth_of_node(const Node& node) {
    if (!node.container) return depth_of(node.text);
    return 1 + std::visit([](const auto& content) { return deepest_child(content); },
                          node.container->content);
}

void write_children(const Object& object, std::string& out) {
    out += '{';
    bool some = false;
    for (const Member& member : object.members()) {
        if (member.gone) continue;
        if (std::exchange(some, true)) out += ',';
        out.append(member.name).append(":");
        Tree::write(member.value, out);
    }
    out += '}';
}

void write_children(const Array& array, std::string& out) {
    out += '[';
    bool some = false;
    for (const Array::Run& run : array.runs()) {
        if (run.nodes.empty()) {
            if (std::exchange(some, true)) out += ',';
            out += run.text;
        }
        for (const Node& node : run.nodes) {
            if (std::exchange(some, true)) out += ',';
            Tree::write(node, out);
        }
    }
    out += ']';
}

std::int64_t signed_size(std::uint64_t bytes) { return static_cast<std::int64_t>(bytes); }

}  // namespace

std::uint64_t Node::size() const noexcept { return container ? container->size : text.size(); }

Object::Object(Walk child) {
    while (child.next()) members_.push_back({child.name(), {child.value(), nullptr}});
    count_ = members_.size();
}

Member* Object::find(std::string_view name) {
    std::string scratch;
    if (members_.size() > kFewMembers && ++looked_up_ == kFewLookups) sort();
    if (sorted_.empty()) {
        for (Member& member : members_) {
            if (!member.gone && text_of(member.name, scratch) == name) return &member;
        }
        return nullptr;
    }
    const auto first = std::lower_bound(sorted_.begin(), sorted_.end(), name,
                                        [&](std::uint32_t place, std::string_view text) {
                                            return text_of(members_[place].name, scratch) < text;
                                        });
    if (first != sorted_.end() && !members_[*first].gone &&
        text_of(members_[*first].name, scratch) == name) {
        return &members_[*first];
    }
    const auto late = later_.find(name);
    return late == later_.end() ? nullptr : &members_[late->second];
}

void Object::sort() {
    members_.erase(std::remove_if(members_.begin(), members_.end(),
                                  [](const Member& member) { return member.gone; }),
                   members_.end());
    sorted_.resize(members_.size());
    std::iota(sorted_.begin(), sorted_.end(), 0U);
    std::string scratch_a;
    std::string scratch_b;
    std::sort(sorted_.begin(), sorted_.end(), [&](std::uint32_t a, std::uint32_t b) {
        return text_of(members_[a].name, scratch_a) < text_of(members_[b].name, scratch_b);
    });
}

void Object::append(std::string_view literal, Node value) {
    if (!sorted_.empty()) later_[unquoted(literal)] = members_.size();
    members_.push_back({literal, std::move(value)});
    ++count_;
}

void Object::remove(Member& member) {
    member.gone = true;
    member.value = {};
    --count_;
    if (!sorted_.empty()) {
        const auto late = later_.find(unquoted(member.name));
        if (late != later_.end()) later_.erase(late);
    }
}

Array::Array(Walk child, const LongParts& known) : known_(&known) {
    while (child.next()) {
        const std::string_view value = child.value();
        ++count_;
        if (!runs_.empty()) {
            Run& last = runs_.back();
            const std::size_t bytes = static_cast<std::size_t>(value.data() - last.text.data());
            if (last.count < kRunElements && bytes + value.size() <= kRunBytes) {
                last.text = {last.text.data(), bytes + value.size()};
                ++last.count;
                continue;
            }
        }
        runs_.push_back({value, 1, {}});
    }
}

Array::Run& Array::run_of(std::size_t& index) {
    auto run = runs_.begin();
    for (; run + 1 != runs_.end() && index >= run->count; ++run) index -= run->count;
    if (run->nodes.empty() && run->count > 0) {
        run->nodes.reserve(run->count + 1);
        for (Walk child = Walk::elements(run->text, known_); child.next();) {
            run->nodes.push_back({child.value(), nullptr});
        }
    }
    return *run;
}

Node& Array::at(std::size_t index) {
    Run& run = run_of(index);
    return run.nodes[index];
}

void Array::insert(std::size_t index, Node node) {
    ++count_;
    if (runs_.empty()) {
        runs_.push_back({{}, 1, {std::move(node)}});
        return;
    }
    Run& run = run_of(index);
    run.nodes.insert(run.nodes.begin() + static_cast<std::ptrdiff_t>(index), std::move(node));
    if (++run.count <= 2 * kRunElements) return;
    Run second;
    const auto half = run.nodes.begin() + static_cast<std::ptrdiff_t>(kRunElements);
    second.nodes.assign(std::make_move_iterator(half), std::make_move_iterator(run.nodes.end()));
    second.count = second.nodes.size();
    run.nodes.erase(half, run.nodes.end());
    run.count = run.nodes.size();
    const auto place = runs_.begin() + (&run - runs_.data());
    runs_.insert(place + 1, std::move(second));
}

void Array::erase(std::size_t index) {
    Run& run = run_of(index);
    run.nodes.erase(run.nodes.begin() + static_cast<std::ptrdiff_t>(index));
    --run.count;
    --count_;
    if (run.count == 0) runs_.erase(runs_.begin() + (&run - runs_.data()));
}

Tree::Tree(std::string_view document, const LongParts& known)
    : document_(document), document_parts_(document), known_(known), root_{document, nullptr} {}

const LongParts& Tree::known_of(std::string_view text) const noexcept {
    const std::less_equal<> before;
    const bool inside = before(document_.data(), text.data()) &&
                        before(text.data(), document_.data() + document_.size());
    return inside ? document_parts_ : known_;
}

// Takes a text apart, one level deep.
void Tree::open(Node& node) const {
    if (node.container || (node.text.front() != '{' && node.text.front() != '[')) return;
    const LongParts& known = known_of(node.text);
    const Walk walk(node.text, &known);
    using Content = std::variant<Object, Array>;
    node.container = std::make_shared<Container>(
        Container{node.text.size(),
                  node.text.front() == '{' ? Content(Object(walk)) : Content(Array(walk, known))});
    node.text = {};
}

Node* Tree::child(Container& parent, const std::string& token) {
    if (auto* object = std::get_if<Object>(&parent.content)) {
        Member* const member = object->find(token);
        return member == nullptr ? nullptr : &member->value;
    }
    auto& array = std::get<Array>(parent.content);
    const auto index = index_of(token);
    if (!index || *index >= array.count()) return nullptr;
    return &array.at(*index);
}

const Node* Tree::find(const Pointer& pointer) {
    Node* node = &root_;
    for (const std::string& token : pointer.tokens()) {
        open(*node);
        node = node->container ? child(*node->container, token) : nullptr;
        if (node == nullptr) return nullptr;
    }
    return node;
}

// The container that holds what the pointer leads to, no longer shared, nor those around it; null
// where it is none. Not for the root.
Container* Tree::parent_for_change(const Pointer& pointer) {
    way_.clear();
    const auto& tokens = pointer.tokens();
    Node* node = &root_;
    for (auto token = tokens.begin();; ++token) {
        open(*node);
        if (!node->container) return nullptr;
        if (node->container.use_count() > 1) {
            node->container = std::make_shared<Container>(*node->container);
        }
        way_.push_back(node->container.get());
        if (token + 1 == tokens.end()) return way_.back();
        node = child(*way_.back(), *token);
        if (node == nullptr) return nullptr;
    }
}

void Tree::grow(std::int64_t bytes) {
    for (Container* container : way_) container->size += static_cast<std::uint64_t>(bytes);
}

const char* Tree::add(const Pointer& pointer, Node node) {
    if (pointer.tokens().empty()) {
        root_ = std::move(node);
        return nullptr;
    }
    Container* const parent = parent_for_change(pointer);
    if (parent == nullptr) return kNoParent;
    const std::string& token = pointer.tokens().back();
    const auto bytes = signed_size(node.size());
    if (auto* object = std::get_if<Object>(&parent->content)) {
        if (Member* const member = object->find(token)) {
            const auto before = signed_size(member->value.size());
            member->value = std::move(node);
            grow(bytes - before);
            return nullptr;
        }
        const std::string_view literal = literals_.emplace_front(quoted(token));
        const std::int64_t comma = object->count() > 0 ? 1 : 0;
        object->append(literal, std::move(node));
        grow(comma + signed_size(literal.size()) + 1 + bytes);
        return nullptr;
    }
    auto& array = std::get<Array>(parent->content);
    const auto index = token == "-" ? array.count() : index_of(token);
    if (!index) return kNoIndex;
    if (*index > array.count()) return kBeyondEnd;
    const std::int64_t comma = array.count() > 0 ? 1 : 0;
    array.insert(*index, std::move(node));
    grow(comma + bytes);
    return nullptr;
}

const char* Tree::replace(const Pointer& pointer, Node node) {
    if (pointer.tokens().empty()) {
        root_ = std::move(node);
        return nullptr;
    }
    Container* const parent = parent_for_change(pointer);
    Node* const old = parent == nullptr ? nullptr : child(*parent, pointer.tokens().back());
    if (old == nullptr) return kNotThere;
    const auto before = signed_size(old->size());
    *old = std::move(node);
    grow(signed_size(old->size()) - before);
    return nullptr;
}

const char* Tree::remove(const Pointer& pointer) {
    if (pointer.tokens().empty()) return "the whole value cannot be removed; delete the key";
    Container* const parent = parent_for_change(pointer);
    if (parent == nullptr) return kNotThere;
    const std::string& token = pointer.tokens().back();
    if (auto* object = std::get_if<Object>(&parent->content)) {
        Member* const member = object->find(token);
        if (member == nullptr) return kNotThere;
        const std::int64_t comma = object->count() > 1 ? 1 : 0;
        const auto bytes = signed_size(member->name.size() + 1 + member->value.size());
        object->remove(*member);
        grow(-bytes - comma);
        return nullptr;
    }
    auto& array = std::get<Array>(parent->content);
    const auto index = index_of(token);
    if (!index || *index >= array.count()) return kNotThere;
    const auto bytes = signed_size(array.at(*index).size());
    const std::int64_t comma = array.count() > 1 ? 1 : 0;
    array.erase(*index);
    grow(-bytes - comma);
    return nullptr;
}

std::string Tree::text() const {
    std::string out;
    out.reserve(size());
    write(root_, out);
    return out;
}

void Tree::write(const Node& node, std::string& out) {
    if (!node.container) {
        out += node.text;
        return;
    }
    std::visit([&](const auto& content) { write_children(content, out); }, node.container->content);
}

std::size_t Tree::depth() const { return depth_of_node(root_); }

}  // namespace larder::storage::json
