// A JSON value that is being edited: texts as they came, taken apart only where an edit goes. Not a
// document model for readers, who walk the text; json_patch is its one user.
//
//   Node       a value: a text, or a container once something went into it
//   Object     members in order, found by name
//   Array      elements in short runs, so that an insertion moves few
//   Container  one of the two, shared by copies until one of them changes
//   Tree       the whole value: places by JSON pointer, and how long the text would be
#pragma once

#include <cstdint>
#include <forward_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "storage-kit/json.hpp"
#include "storage-kit/json_pointer.hpp"

namespace larder::storage::json {

struct Container;

// Cheap to copy.
struct Node {
    std::string_view text;                 // while nothing went into it
    std::shared_ptr<Container> container;  // null till then

    std::uint64_t size() const noexcept;  // bytes of the text it stands for
};

struct Member {
    std::string_view name;  // a literal
    Node value;
    bool gone = false;
};

class Object {
public:
    explicit Object(Walk child);

    std::size_t count() const noexcept { return count_; }
    const std::vector<Member>& members() const noexcept { return members_; }  // gone ones too
    Member* find(std::string_view name);                // null where there is none
    void append(std::string_view literal, Node value);  // of a name that is not there
    void remove(Member& member);

private:
    void sort();

    std::vector<Member> members_;
    std::size_t count_ = 0;
    // Made when so many look-ups were for more than a few members: those that were there then, by
    // name, and what came later.
    std::size_t looked_up_ = 0;
    std::vector<std::uint32_t> sorted_;
    std::map<std::string, std::size_t, std::less<>> later_;
};

class Array {
public:
    // Some elements: as a text with their commas, or one by one once somebody wanted one of them.
    struct Run {
        std::string_view text;
        std::size_t count = 0;
        std::vector<Node> nodes;
    };

    // `known` must outlive it.
    Array(Walk child, const LongParts& known);

    std::size_t count() const noexcept { return count_; }
    const std::vector<Run>& runs() const noexcept { return runs_; }
    Node& at(std::size_t index);
    void insert(std::size_t index, Node node);  // index may be count()
    void erase(std::size_t index);

private:
    Run& run_of(std::size_t& index);  // index becomes that within the run

    const LongParts* known_;
    std::vector<Run> runs_;
    std::size_t count_ = 0;
};

struct Container {
    std::uint64_t size = 0;  // bytes of the text it stands for
    std::variant<Object, Array> content;
};

// Functions that change something return what stood in their way, in words, null where nothing did;
// the value is then as it was. Texts given to it must stay. [any, one thread at a time]
class Tree {
public:
    // `known` of the texts that will be added; it must outlive the tree.
    Tree(std::string_view document, const LongParts& known);
    Tree(const Tree&) = delete;
    Tree& operator=(const Tree&) = delete;

    // Nothing where there is none. Good until the next call.
    const Node* find(const Pointer& pointer);
    const char* add(const Pointer& pointer, Node node);
    const char* replace(const Pointer& pointer, Node node);
    const char* remove(const Pointer& pointer);

    const LongParts& known_of(std::string_view text) const noexcept;
    std::uint64_t size() const noexcept { return root_.size(); }
    std::string text() const;
    std::size_t depth() const;

    static void write(const Node& node, std::string& out);

private:
    void open(Node& node) const;
    static Node* child(Container& parent, const std::string& token);
    Container* parent_for_change(const Pointer& pointer);
    void grow(std::int64_t bytes);

    std::string_view document_;
    LongParts document_parts_;
    const LongParts& known_;
    Node root_;
    std::vector<Container*> way_;              // from the root to the parent of the present change
    std::forward_list<std::string> literals_;  // names that came from pointers
};

}  // namespace larder::storage::json
