// One client's connection: requests in, one after the other, and answers out. It is the Exchange of
// the request under way. Knows framing and time-outs; nothing of what a request means.
//
//   handshake → head ⇄ exchange (⇄ dropping) → lingering → closed
//
// head:      waiting for a request, or in the midst of its head
// exchange:  a head was read; Input says how its body stands, Output how its answer does
// dropping:  the answer is out, the rest of an unread body is passed over
// lingering: all is said; what the client still sends is dropped, so that it can read the answer
// closed:    the socket is gone; the object lives on as long as somebody holds the exchange
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "http/chunk_decoder.hpp"
#include "http/event_stream.hpp"
#include "http/http.hpp"
#include "http/input_buffer.hpp"
#include "http/outgoing.hpp"
#include "http/reactor.hpp"
#include "http/request_parser.hpp"
#include "http/timer_wheel.hpp"
#include "http/transport.hpp"

namespace larder::http {

class Connection final : public Exchange,
                         public TransportUser,
                         public Mailed,
                         public Resident,
                         private Timed {
public:
    // Takes the connected descriptor. [io]
    Connection(std::shared_ptr<Reactor> reactor, int fd, int family, Peer peer, SslPointer ssl);
    ~Connection() override;

    // `turn_away`: there are too many connections; it is told so and closed. [io]
    void start(bool turn_away);

    // ---- Exchange
    const Head& head() const noexcept override { return head_; }
    std::string_view body() const noexcept override { return body_; }
    std::string_view id() const noexcept override { return id_; }
    const Peer& peer() const noexcept override { return peer_; }
    std::size_t reactor() const noexcept override { return reactor_->index(); }
    Clock::time_point began() const noexcept override { return began_; }
    std::shared_ptr<Cancel> cancel() override;
    void answer(Response&& response) noexcept override;
    std::shared_ptr<EventStream> stream(StreamHead&& head) noexcept override;
    void resume_body() noexcept override;
    void begin_again() noexcept override;

private:
    enum class Phase : std::uint8_t { handshake = 1, head, exchange, dropping, lingering, closed };
    enum class Input : std::uint8_t {
        whole = 1,  // there is no more of this request
        buffering,  // for run()
        streaming,  // to the sink
        unread,     // nobody wants the rest
    };
    enum class Output : std::uint8_t { pending = 1, sending, streaming, done };
    // What the deadline is for.
    enum class Wait : std::uint8_t { none = 1, handshake, idle, head, body, write, retry, linger };
    // Where the read under way puts its bytes.
    enum class Target : std::uint8_t { buffer = 1, side, body, chunk, nowhere };
    enum class Letter : std::uint8_t { answer = 1, stream, flush, resume, chunk, proceed, again };

    std::shared_ptr<Connection> self();
    std::uint64_t letter(Letter what) const noexcept;  // with the exchange's number

    // ---- events: always from the top of the reactor's loop, never out of the application
    void on_read(Event event, std::size_t size) noexcept override;
    void on_writable(Event event) noexcept override;
    void on_handshake(Event event) noexcept override;
    void on_deadline() override;
    void deliver(std::uint64_t what) noexcept override;
    void begin_drain() noexcept override;
    bool cut() noexcept override;
    void visit(const std::function<bool(Exchange&)>& look) override;

    // ---- the loop
    void process();  // does all that can be done without waiting, then waits for the right thing
    bool step();
    void proceed_later();
    void want_read();
    void read(Target target, std::span<char> into);
    void wait_for(Wait what, std::chrono::milliseconds time) {
        wait_until(what, Clock::now() + time);
    }
    void wait_until(Wait what, Clock::time_point deadline) noexcept;
    void wait_for_nothing() noexcept;
    void make_room();
    void at_end();  // the client sends no more

    // ---- heads
    bool read_head();
    void begin_exchange();
    void ask_application();
    void choose_id();
    void refuse(int status, std::string_view slug, std::string_view detail,
                std::string_view member = {}, std::uint64_t value = 0);
    void refuse_too_large(std::uint64_t limit);
    void application_threw(std::uint32_t serial, std::string_view where, std::string_view what);

    // ---- bodies (connection_body.cpp)
    void adopt_plan(BodyPlan&& plan);
    bool take_body();
    bool take_buffered();
    bool take_streamed();
    bool decode_chunks();
    bool hand_over();  // the chunk at hand to the sink; true: it takes more
    void body_is_whole();
    void stop_sink();
    void say_continue();
    void resume();
    bool drop_body();
    void read_body();

    // ---- answers (connection_answer.cpp)
    void begin_answer(Response&& response);
    void begin_stream(std::shared_ptr<StreamQueue> stream);
    bool may_keep() const;
    void leave_body();
    void write_head(int status, const Headers& headers, std::string_view extra, Framing framing,
                    std::uint64_t length, std::string& out);
    void send_on();
    void pull_generator();
    void take_generated();
    void flush_stream();
    void answer_is_out();
    void report(std::uint64_t bytes_out, bool whole, Clock::time_point now);
    void end_exchange();
    void linger();
    void linger_on(Event event);
    void client_gone();
    void close();
    void log_misuse(std::string_view what) const;

    // Constant after construction.
    const std::shared_ptr<Reactor> reactor_;
    Peer peer_;

    // Any thread.
    std::atomic<std::uint32_t> serial_{1};  // of the exchange
    std::atomic<bool> answered_{true};      // somebody has the right to answer no more
    std::atomic<bool> refused_{false};      // the front answers itself; a later answer is no misuse
    std::mutex mutex_;
    std::shared_ptr<Cancel> cancel_;  // guarded by mutex_
    bool gone_ = false;               // guarded by mutex_
    // Written by the one who answers, read by the reactor when its letter has come.
    Response late_answer_;
    std::shared_ptr<StreamQueue> late_stream_;

    // Only the reactor.
    Transport transport_;
    Phase phase_ = Phase::head;
    Input input_ = Input::whole;
    Output output_ = Output::done;
    Wait wait_ = Wait::none;
    Target target_ = Target::buffer;
    bool reading_ = false, writing_ = false;  // an operation is under way
    bool in_loop_ = false;
    bool undecided_ = false;  // begin() will be called again
    bool end_seen_ = false;   // the client has sent its last byte
    bool turn_away_ = false;
    bool headless_ = false;   // the exchange is a refusal of something that was no head
    bool keep_ = true;        // the connection goes on after this answer
    bool continued_ = false;  // 100 Continue was sent
    bool sink_full_ = false, in_sink_ = false, resumed_in_sink_ = false;
    int status_ = 0;

    InputBuffer buffer_;  // the head, and what came with it; never moved while an exchange lives
    RequestParser parser_;
    Head head_;
    std::string_view id_;
    std::array<char, 16> made_id_{};
    Clock::time_point began_{};

    BodyPlan plan_{};
    std::uint64_t body_left_ = 0;  // of a Content-Length, not yet received
    std::uint64_t received_ = 0;   // body bytes
    std::string_view body_;
    std::string body_store_;      // a body that did not come whole with its head
    std::size_t stored_ = 0;      // bytes of it that are there
    std::string chunk_;           // on its way to the sink
    std::size_t chunk_step_ = 0;  // how much the next read for the sink asks for
    std::unique_ptr<ChunkDecoder> decoder_;
    InputBuffer side_;  // chunked bodies are read here, since the head must stay where it is
    std::size_t dropped_ = 0;

    Outgoing out_;
    std::function<void(std::uint64_t, bool)> sent_;
    std::shared_ptr<StreamQueue> stream_;
    StreamWriter writer_;
};

}  // namespace larder::http
