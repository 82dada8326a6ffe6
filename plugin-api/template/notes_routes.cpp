#include "notes_routes.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "larder/time.hpp"
#include "storage-kit/answers.hpp"
#include "storage-kit/cursor.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/query.hpp"

namespace notes {

using larder::Errc;
using larder::Error;
using larder::Reply;
using larder::Request;
using larder::Response;
using larder::storage::DocumentPtr;
using larder::storage::json_answer;
using larder::storage::Outcome;
using larder::storage::Transaction;
namespace json = larder::storage::json;

namespace {

constexpr std::string_view kCursor = "notes";

// Sixteen hexadecimal digits, so that byte order is the order of writing.
std::string id_of(std::uint64_t revision) {
    std::array<char, 17> text{};
    (void)std::snprintf(text.data(), text.size(), "%016llx",
                        static_cast<unsigned long long>(revision));
    return text.data();
}

std::string note_json(const larder::storage::Document& note) {
    std::string out = R"({"id":)" + json::quoted(note.key);
    out.append(R"(,"text":)").append(note.value);
    return out + R"(,"created_at":")" + larder::rfc3339(note.created_ms) + R"("})";
}

Error no_such_note() { return {Errc::not_found, "note-not-found", "there is no such note"}; }

}  // namespace

NotesRoutes::NotesRoutes(larder::storage::DocumentStore& store, larder::Host& host)
    : store_(store),
      settings_(host.settings()),
      written_(host.metrics().counter("larder_notes_written_total", "Notes that are on disk.")) {}

// What a route declares is checked before the handler is called, and told by GET /openapi.json.
void NotesRoutes::declare(larder::Routes& routes) {
    using larder::Method;
    using larder::Permission;
    constexpr std::string_view kNoSuchNote = "404 note-not-found: there is no such note";
    constexpr std::string_view kTooLong = "413 note-too-long: a note is longer than `limit` bytes";
    const auto prompt = [this](auto method) {
        return [this, method](const Request& request, Reply reply) {
            (this->*method)(request, std::move(reply));
        };
    };
    routes.prompt({.method = Method::get,
                   .pattern = "/api/notes",
                   .permission = Permission::read,
                   .summary = "List the notes in the order of writing, or watch new ones",
                   .queries = "limit,cursor,watch",
                   .parameters = "watch boolean: new notes as they come, as an event stream",
                   .answers = "200 application/json; 200 text/event-stream"},
                  prompt(&NotesRoutes::list));
    routes.prompt({.method = Method::post,
                   .pattern = "/api/notes",
                   .permission = Permission::write,
                   .summary = "Write a note; on disk before the answer",
                   .media_types = "application/json",
                   .schema = R"({"type":"object","required":["text"],
                                 "properties":{"text":{"type":"string"}}})",
                   .answers = "201 application/json",
                   .problems = kTooLong},
                  prompt(&NotesRoutes::create));
    routes.prompt({.method = Method::get,
                   .pattern = "/api/notes/{id}",
                   .permission = Permission::read,
                   .summary = "Read a note",
                   .problems = kNoSuchNote},
                  prompt(&NotesRoutes::get));
    routes.prompt({.method = Method::del,
                   .pattern = "/api/notes/{id}",
                   .permission = Permission::write,
                   .summary = "Remove a note",
                   .answers = "204",
                   .problems = kNoSuchNote},
                  prompt(&NotesRoutes::remove));
    routes.blocking({.method = Method::get,
                     .pattern = "/api/notes/text",
                     .permission = Permission::read,
                     .summary = "All notes as plain text, one a line",
                     .answers = "200 text/plain"},
                    [this](const Request& request) { return as_text(request); });
    routes.upload({.method = Method::post,
                   .pattern = "/api/notes/import",
                   .permission = Permission::write,
                   .summary = "Write many notes, one a line; all or none",
                   .media_types = "text/plain",
                   .max_body = 16U << 20U,
                   .answers = "201 application/json",
                   .problems = "400 invalid-text: the notes are not UTF-8; 413 note-too-long: a "
                               "note is longer than `limit` bytes"},
                  [this](const Request& request, const std::shared_ptr<larder::Cancel>&) {
                      return import(request);
                  });
}

// ---- prompt: in memory

void NotesRoutes::list(const Request& request, Reply reply) {
    if (larder::storage::flag_of(request, "watch")) return watch(std::move(reply));
    const std::size_t limit = larder::storage::limit_of(request);
    const auto notes = store_.list({}, larder::storage::after_of(request, kCursor), limit + 1);
    std::string body = R"({"items":[)";
    const std::size_t count = std::min(notes.size(), limit);
    for (std::size_t i = 0; i < count; ++i) body += (i > 0 ? "," : "") + note_json(*notes[i]);
    const bool more = notes.size() > limit;
    body += R"(],"next":)";
    body += more ? json::quoted(larder::storage::encode_cursor(kCursor, notes[count - 1]->key))
                 : "null";
    std::move(reply).send(json_answer(200, body + "}"));
}

void NotesRoutes::get(const Request& request, Reply reply) {
    const DocumentPtr note = store_.get(request.param("id"));
    if (!note) throw no_such_note();
    std::move(reply).send(json_answer(200, note_json(*note)));
}

// ---- prompt: answered when the note is on disk

void NotesRoutes::check_note(std::string_view text) const {
    const std::uint64_t limit = settings_.bytes("max_length");  // as it stands now: it is live
    if (text.size() <= limit) return;
    throw Error(Errc::too_large, "note-too-long", "a note may hold so many bytes as limit says")
        .with("limit", std::to_string(limit));
}

void NotesRoutes::create(const Request& request, Reply reply) {
    std::string text;
    try {
        json::check(request.body());
    } catch (const json::InvalidJson& fault) {
        throw Error(Errc::bad_request, "invalid-json", fault.what())
            .with("offset", std::to_string(fault.offset()));
    }
    for (json::Walk members(request.body()); members.next();) {
        if (members.name() == R"("text")" && members.value().starts_with('"')) {
            text = members.value();
            continue;
        }
        throw Error(Errc::unprocessable, "invalid-field", "expected {\"text\": \"…\"} and no more")
            .with("pointer", json::quoted("/" + json::unquoted(members.name())));
    }
    if (text.empty()) {
        throw Error(Errc::unprocessable, "invalid-field", "a note has a text")
            .with("pointer", R"("/text")");
    }
    check_note(json::unquoted(text));

    struct Write {
        Reply reply;
        std::string text, id;
    };
    const auto write = std::make_shared<Write>(Write{std::move(reply), std::move(text), {}});
    store_.commit(
        [write](Transaction& transaction) {
            write->id = id_of(transaction.revision());
            transaction.set(write->id, write->text, 0, {});
        },
        [this, write](const Outcome& outcome) {
            if (outcome.refused) return std::move(write->reply).fail(*outcome.refused);
            written_.add();
            const DocumentPtr note = store_.get(write->id);
            const std::string body = note ? note_json(*note) : "{}";  // removed by now
            tell(body);
            Response response = json_answer(201, body);
            response.headers.emplace_back("Location", "/api/notes/" + write->id);
            std::move(write->reply).send(std::move(response));
        });
}

void NotesRoutes::remove(const Request& request, Reply reply) {
    const auto held = std::make_shared<Reply>(std::move(reply));
    store_.commit(
        [id = std::string(request.param("id"))](Transaction& transaction) {
            if (!transaction.get(id)) throw no_such_note();
            transaction.remove(id);
        },
        [held](const Outcome& outcome) {
            if (outcome.refused) return std::move(*held).fail(*outcome.refused);
            Response response;
            response.status = 204;
            std::move(*held).send(std::move(response));
        });
}

// ---- watching: costs no thread, and a block is shared by all who watch

void NotesRoutes::watch(Reply reply) {
    auto stream = std::move(reply).stream({});
    stream->send(std::make_shared<const std::string>(": new notes follow\n\n"));
    const std::scoped_lock lock(mutex_);
    watches_.push_back(std::move(stream));
}

// Who does not keep up, or has left, is let go.
void NotesRoutes::tell(const std::string& note_json) {
    const auto block =
        std::make_shared<const std::string>("event: note\ndata: " + note_json + "\n\n");
    const std::scoped_lock lock(mutex_);
    std::erase_if(watches_, [&](const auto& stream) {
        if (stream->send(block) == larder::EventStream::Sent::taken) return false;
        stream->close();
        return true;
    });
}

void NotesRoutes::end_watches() noexcept {
    const std::scoped_lock lock(mutex_);
    for (const auto& stream : watches_) stream->close();
    watches_.clear();
}

// ---- blocking: may wait, on a worker

Response NotesRoutes::as_text(const Request& /*request*/) {
    Response response;
    response.headers.emplace_back("Content-Type", "text/plain; charset=utf-8");
    // Made a chunk at a time, as fast as the client reads.
    response.body = [this, after = std::string()](std::string& chunk) mutable {
        const auto notes = store_.list({}, after, 1000);
        for (const DocumentPtr& note : notes) chunk += json::unquoted(note->value) + "\n";
        if (!notes.empty()) after = notes.back()->key;
        return notes.size() == 1000;
    };
    return response;
}

// ---- upload: bytes are pushed as they come, so that a slow sender holds no worker

class NotesRoutes::Import final : public larder::Upload {
public:
    explicit Import(NotesRoutes& routes) : routes_(routes) {}

    void take(std::span<const std::byte> bytes) override {
        text_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }

    Response finish(const larder::Headers& /*trailers*/) override {
        if (json::invalid_utf8(text_) != std::string::npos) {
            throw Error(Errc::bad_request, "invalid-text", "the notes are not UTF-8");
        }
        const std::vector<std::string> notes = lines();
        const Outcome outcome = routes_.store_.commit_and_wait([&](Transaction& transaction) {
            std::size_t count = 0;
            for (const std::string& note : notes) {
                // One revision for all: the ids differ behind it.
                const std::string id =
                    id_of(transaction.revision()) + "." + id_of(count++).substr(8);
                transaction.set(id, json::quoted(note), 0, {});
            }
        });
        if (outcome.refused) throw Error(*outcome.refused);
        routes_.written_.add(notes.size());
        return json_answer(201, R"({"written":)" + std::to_string(notes.size()) + "}");
    }

    void abort() noexcept override {}  // nothing was written yet

private:
    std::vector<std::string> lines() const {
        std::vector<std::string> notes;
        for (std::size_t at = 0; at < text_.size();) {
            const std::size_t end = std::min(text_.find('\n', at), text_.size());
            std::string note = text_.substr(at, end - at);
            at = end + 1;
            if (note.empty()) continue;
            routes_.check_note(note);
            notes.push_back(std::move(note));
        }
        return notes;
    }

    NotesRoutes& routes_;
    std::string text_;  // bounded by the route's max_body
};

std::unique_ptr<larder::Upload> NotesRoutes::import(const Request& /*request*/) {
    return std::make_unique<Import>(*this);
}

}  // namespace notes
