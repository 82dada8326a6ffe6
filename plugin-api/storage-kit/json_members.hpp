// The members of a JSON object that a client sent, taken by name and type; what is wrong with one
// is told with its JSON pointer. Not for values of any shape: those stay texts.
//
//   const Members members = Members::of_body(request.body());
//   const std::string name = members.required_text("name", 200);
//   members.end();   // nothing else may be in it
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "larder/error.hpp"

namespace larder::storage::json {

// Error{unprocessable, "invalid-field"} with `pointer`. [any]
Error invalid_field(std::string_view pointer, std::string detail);

// Throws Error{bad_request, "invalid-json"} with `offset` for what is no JSON. [any]
void check_body(std::string_view text);

// All functions throw invalid_field() where a member is not what they are asked for. Null is of no
// type they know, unless the object is one of ours: then it is as good as absent to all but find().
// [any, one thread at a time]
class Members {
public:
    // Of a text that passed check(); `pointer` is where it stands in the body.
    explicit Members(std::string_view object, std::string pointer = {});
    // check_body() and then this, for what a client sent: null is refused, but for the members
    // named here, where it is as good as absent. The body must stay where it is.
    static Members of_body(std::string_view body,
                           std::initializer_list<std::string_view> nullable = {});

    std::optional<std::string_view> find(std::string_view name) const;   // as it stands there
    std::optional<std::string_view> value(std::string_view name) const;  // likewise
    std::optional<std::string> text(std::string_view name, std::size_t most_bytes) const;
    std::string required_text(std::string_view name, std::size_t most_bytes) const;  // not empty
    std::optional<double> number(std::string_view name) const;                       // finite
    std::optional<bool> flag(std::string_view name) const;
    std::optional<std::string_view> object(std::string_view name) const;
    std::vector<std::string> texts(std::string_view name) const;  // of an array; none where absent

    std::string pointer_of(std::string_view name) const;
    // Throws for a member that nobody asked for.
    void end() const;

private:
    struct Member {
        std::string name;
        std::string_view value;
        mutable bool asked;
    };
    std::string pointer_;
    std::vector<Member> members_;
    bool refuses_null_ = false;
};

}  // namespace larder::storage::json
