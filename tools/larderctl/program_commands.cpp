// The commands about programs: upload, run, list, logs, schedule, delete. What a program prints
// goes where it printed it, and its exit code is the command's.
#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <streambuf>

#include "answers.hpp"
#include "command.hpp"
#include "progress.hpp"
#include "storage-kit/json.hpp"
#include "table.hpp"

namespace larder::ctl {
namespace {

namespace json = storage::json;

constexpr const char* kBoundary = "larderctl-7f3a9c51e0b24d68";

std::string path_of(const std::string& id) { return "/api/programs/" + escaped(id); }

std::string contents_of(const std::string& file) {
    std::ifstream bytes(file, std::ios::binary);
    if (!bytes) throw LocalError(fmt::format("{} cannot be read", file));
    return {std::istreambuf_iterator<char>(bytes), {}};
}

// A form with one file in it, read as it is sent.
class FormBody : public std::streambuf {
public:
    FormBody(std::string before, std::istream& file, std::string after)
        : parts_{std::move(before), std::move(after)}, file_(file) {
        take(parts_[0].data(), parts_[0].size());
    }

private:
    int_type underflow() override {
        if (at_end_) return traits_type::eof();
        file_.read(block_.data(), static_cast<std::streamsize>(block_.size()));
        take(block_.data(), static_cast<std::size_t>(file_.gcount()));
        if (gptr() == egptr()) {
            at_end_ = true;
            take(parts_[1].data(), parts_[1].size());
        }
        return traits_type::to_int_type(*gptr());
    }
    void take(char* data, std::size_t size) { setg(data, data, data + size); }

    std::array<std::string, 2> parts_;
    std::istream& file_;
    std::array<char, 65536> block_{};
    bool at_end_ = false;
};

int upload(Context& context) {
    const std::string& file = context.words.arguments[0];
    std::string name = file.substr(file.rfind('/') + 1);
    for (char& c : name) {
        if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20) c = '_';
    }
    std::error_code fault;
    const std::uint64_t size = std::filesystem::file_size(file, fault);
    std::ifstream bytes(file, std::ios::binary);
    if (fault || !bytes) throw LocalError(fmt::format("{} cannot be read", file));
    std::string before;
    if (const auto project = context.words.value("--name")) {
        before += fmt::format(
            "--{}\r\nContent-Disposition: form-data; name=\"project_name\"\r\n\r\n{}\r\n",
            kBoundary, *project);
    }
    before += fmt::format(
        "--{}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\n\r\n", kBoundary,
        name);
    const std::string after = fmt::format("\r\n--{}--\r\n", kBoundary);
    const std::uint64_t all = before.size() + size + after.size();
    FormBody body(std::move(before), bytes, after);
    std::istream form(&body);
    Progress progress(name, all);
    Answer answer;
    try {
        answer = context.client().upload(
            "POST", "/api/programs", form, all,
            {{"Content-Type", fmt::format("multipart/form-data; boundary={}", kBoundary)}},
            [&](std::string_view block) { progress.add(block.size()); });
    } catch (const std::runtime_error& error) {
        throw LocalError(fmt::format("{}: {}", file, error.what()));
    }
    if (context.json) return print_json(answer);
    const auto record = object_in(answer.body);
    std::cout << text_of(record, "program_id") << '\n';
    if (text_of(record, "main_file") == "-") {
        std::cerr << "nothing in it can be run: " << text_of(record, "main_file_reason") << '\n';
    }
    return kOk;
}

int run(Context& context) {
    const auto& words = context.words.arguments;
    std::string body = R"({"args":[)";
    for (std::size_t i = 1; i < words.size(); ++i) {
        if (i > 1) body += ',';
        body += json::quoted(words[i]);
    }
    body += ']';
    if (const auto timeout = context.words.value("--timeout")) {
        const bool is_number =
            !timeout->empty() && timeout->find_first_not_of("0123456789.") == std::string::npos;
        if (!is_number) throw UsageError("--timeout is a number of seconds");
        body += fmt::format(R"(,"timeout":{})", *timeout);
    }
    if (const auto input = context.words.value("--stdin")) {
        const std::string bytes = *input == "-"
                                      ? std::string(std::istreambuf_iterator<char>(std::cin), {})
                                      : contents_of(*input);
        body += fmt::format(R"(,"stdin":{})", json::quoted(bytes));
    }
    body += '}';
    // A run may last longer than a client waits for an answer: it is begun, then watched.
    const Client client = context.client();
    const Answer begun =
        client.demand("POST", path_of(words[0]) + "/execute", body, {{"Prefer", "respond-async"}});
    const std::string target = begun.header("location");
    if (context.words.flag("--detach")) {
        if (context.json) return print_json(begun);
        std::cout << text_of(object_in(begun.body), "execution_id") << '\n';
        return kOk;
    }
    std::string pending, event;
    constexpr int kSilence = 60;
    client.stream(target + "/stream", {}, kSilence, [&](std::string_view bytes) {
        pending += bytes;
        for (std::size_t end = 0; (end = pending.find('\n')) != std::string::npos;) {
            const std::string line = pending.substr(0, end);
            pending.erase(0, end + 1);
            if (line.starts_with("event: ")) event = line.substr(7);
            if (!line.starts_with("data: ") || context.json || event == "exit") continue;
            const auto text = object_in(line.substr(6))->optValue<std::string>("text", "");
            (event == "stderr" ? std::cerr : std::cout) << text << std::flush;
        }
        return true;
    });
    const Answer ended = client.demand("GET", target);
    const auto result = object_in(ended.body);
    if (context.json) {
        print_json(ended);
    } else if (text_of(result, "state") != "succeeded" && text_of(result, "return_code") == "-") {
        const std::string limit = text_of(result, "limit_hit");
        std::cerr << fmt::format("{}{}\n", text_of(result, "state"),
                                 limit == "-" ? "" : ": limit " + limit);
    }
    return text_of(result, "return_code") == "-" ? kRefused : result->getValue<int>("return_code");
}

int list(Context& context) {
    const Client client = context.client();
    if (context.json) return print_json(client.demand("GET", "/api/programs?limit=1000"));
    Table table({"PROGRAM", "NAME", "LANGUAGE", "SIZE", "RUNS", "FAILED", "LAST RUN"});
    for (const auto& program : client.items("/api/programs")) {
        table.add({text_of(program, "program_id"), printable(text_of(program, "filename")),
                   text_of(program, "language"),
                   size_text(program->optValue<std::uint64_t>("size", 0)),
                   text_of(program, "execution_count"), text_of(program, "error_count"),
                   text_of(program, "last_executed")});
    }
    table.print();
    return kOk;
}

int logs(Context& context) {
    const Client client = context.client();
    const std::string target = path_of(context.words.arguments[0]);
    if (context.json) return print_json(client.demand("GET", target + "/executions?limit=1000"));
    std::istringstream lines(client.demand("GET", target + "/log").body);
    for (std::string line; std::getline(lines, line);) std::cout << printable(line) << '\n';
    return kOk;
}

int schedule(Context& context) {
    const Words& words = context.words;
    const auto cron = words.value("--cron"), every = words.value("--every");
    const std::string target = path_of(words.arguments[0]) + "/schedule";
    const Client client = context.client();
    if (words.flag("--off")) {
        client.demand("DELETE", target);
        if (!context.json) std::cout << "no schedule\n";
        return kOk;
    }
    if (!cron && !every) return print_json(client.demand("GET", target));
    if (cron && every) throw UsageError("either --cron or --every");
    if (every && every->find_first_not_of("0123456789") != std::string::npos) {
        throw UsageError("--every is a number of seconds");
    }
    std::string body = cron ? fmt::format(R"({{"cron":{})", json::quoted(*cron))
                            : fmt::format(R"({{"every":{})", *every);
    if (const auto args = words.value("--args"))
        body += fmt::format(R"(,"args":{})", json::quoted(*args));
    return print_json(client.demand("PUT", target, body + "}"));
}

int remove(Context& context) {
    const Client client = context.client();
    for (const std::string& id : context.words.arguments) client.demand("DELETE", path_of(id));
    if (!context.json) std::cout << "deleted\n";
    return kOk;
}

}  // namespace

std::vector<Command> program_commands() {
    return {
        {"program upload",
         "FILE",
         1,
         1,
         "Store a .py, .sh or .js file, or a .zip of a project, as a program",
         {{"--name", "NAME", "of the project"}},
         upload},
        {"program run",
         "ID [ARGUMENT...]",
         1,
         1000,
         "Run a program; its output and exit code are this command's",
         {{"--timeout", "SECONDS", "how long it may take"},
          {"--stdin", "FILE|-", "its standard input"},
          {"--detach", "", "do not wait; print the execution's id"}},
         run},
        {"program list", "", 0, 0, "List the programs", {}, list},
        {"program logs", "ID", 1, 1, "The execution log of a program", {}, logs},
        {"program schedule",
         "ID",
         1,
         1,
         "Show when a program runs by itself, or set it",
         {{"--cron", "FIELDS", "minute, hour, day, month, day of week"},
          {"--every", "SECONDS", "so often"},
          {"--args", "WORDS", "what it is called with"},
          {"--off", "", "no more"}},
         schedule},
        {"program delete", "ID...", 1, 1000, "Delete programs", {}, remove},
    };
}

}  // namespace larder::ctl
