// Metrics: instruments, owners, the two texts and their grammar, the per-route counters. A strict
// reader of our own judges every page; promtool does as well where it is installed. Contents:
// PageReader · instruments and owners · names, texts, formats · collectors · routes · promtool.
#include "observe/metrics.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>

#include "observe/http_metrics.hpp"
#include "support/suite.hpp"
#include "support/temporary_folder.hpp"

using namespace larder::observe;  // NOLINT(google-build-using-namespace)
using larder::Error;

namespace {

struct Page {
    std::map<std::string, std::string> types;    // family → type
    std::map<std::string, std::string> samples;  // name{labels} → value
    std::vector<std::string> families;           // in order
};

// Reads a page line by line and fails on anything that the formats do not allow: samples outside
// their family, families twice, samples twice, histograms whose buckets do not add up.
class PageReader {
public:
    explicit PageReader(Format format) : format_(format) {}

    Page read(const std::string& text) {
        CPPUNIT_ASSERT_MESSAGE("the last line is not ended", text.ends_with('\n'));
        std::istringstream lines(text);
        bool ended = false;
        for (std::string line; std::getline(lines, line);) {
            CPPUNIT_ASSERT_MESSAGE("after # EOF: " + line, !ended);
            if (line == "# EOF") {
                ended = true;
            } else if (line.starts_with("# ")) {
                take_header(line);
            } else {
                take_sample(line);
            }
        }
        CPPUNIT_ASSERT_EQUAL(format_ == Format::openmetrics, ended);
        CPPUNIT_ASSERT(std::is_sorted(page_.families.begin(), page_.families.end()));
        for (const auto& [name, type] : page_.types) {
            if (type == "histogram") check_histogram(name);
        }
        return page_;
    }

private:
    void take_header(const std::string& line) {
        static const std::regex shape(R"(# (HELP|TYPE) ([a-z_][a-z0-9_]*) (.+))");
        std::smatch parts;
        CPPUNIT_ASSERT_MESSAGE(line, std::regex_match(line, parts, shape));
        if (parts[1] == "HELP") {
            CPPUNIT_ASSERT_MESSAGE(line, !page_.types.contains(parts[2]) && help_.empty());
            help_ = parts[2];
            return;
        }
        CPPUNIT_ASSERT_EQUAL_MESSAGE(line, help_, parts[2].str());
        help_.clear();
        family_ = parts[2];
        CPPUNIT_ASSERT_MESSAGE(line, page_.types.emplace(family_, parts[3]).second);
        page_.families.push_back(family_);
    }

    void take_sample(const std::string& line) {
        static const std::regex shape(
            R"re(([a-z_][a-z0-9_]*)(\{(?:[a-z_][a-z0-9_]*="(?:[^"\\\n]|\\["\\n])*"(?:,(?!\}))?)+\})? (\S+))re");
        std::smatch parts;
        CPPUNIT_ASSERT_MESSAGE(line, std::regex_match(line, parts, shape));
        const std::string name = parts[1];
        const std::string type = page_.types[family_];
        std::set<std::string> allowed{family_};
        if (type == "histogram")
            allowed = {family_ + "_bucket", family_ + "_sum", family_ + "_count"};
        if (type == "counter" && format_ == Format::openmetrics) allowed = {family_ + "_total"};
        CPPUNIT_ASSERT_MESSAGE(line + " in family " + family_, allowed.contains(name));
        CPPUNIT_ASSERT_MESSAGE(line, page_.samples.emplace(name + parts[2].str(), parts[3]).second);
        char* end = nullptr;
        const std::string value = parts[3];
        const double number = std::strtod(value.c_str(), &end);
        CPPUNIT_ASSERT_MESSAGE(line, *end == '\0' && (number >= 0 || type == "gauge"));
    }

    // By label set without `le`: buckets in growing order, never falling, the last +Inf = _count.
    void check_histogram(const std::string& name) {
        static const std::regex le(R"re(^(.*),?le="([^"]+)"\}$)re");
        std::map<std::string, std::map<double, double>> buckets;
        for (const auto& [key, value] : page_.samples) {
            if (!key.starts_with(name + "_bucket{")) continue;
            std::smatch parts;
            CPPUNIT_ASSERT_MESSAGE(key, std::regex_match(key, parts, le));
            std::string labels = parts[1].str().substr(name.size() + 7);
            if (labels.ends_with(',')) labels.pop_back();
            labels += labels == "{" ? "" : "}";
            buckets[labels == "{" ? "" : labels][std::strtod(parts[2].str().c_str(), nullptr)] =
                std::stod(value);
        }
        CPPUNIT_ASSERT_MESSAGE(name, !buckets.empty());
        for (const auto& [labels, counts] : buckets) {
            const std::string whole = fmt::format("{}_count{}", name, labels);
            double last = 0;
            for (const auto& [bound, count] : counts) {
                CPPUNIT_ASSERT_MESSAGE(name + labels, count >= last);
                last = count;
            }
            CPPUNIT_ASSERT_MESSAGE(name + labels, std::isinf(counts.rbegin()->first));
            CPPUNIT_ASSERT_EQUAL(last, std::stod(page_.samples.at(whole)));
            CPPUNIT_ASSERT(page_.samples.contains(fmt::format("{}_sum{}", name, labels)));
        }
    }

    const Format format_;
    Page page_;
    std::string help_, family_;
};

Page read_page(const std::string& text, Format format = Format::prometheus) {
    return PageReader(format).read(text);
}

Page scrape(const Registry& registry) { return read_page(registry.text(Format::prometheus)); }

std::string value(const Page& page, const std::string& sample) {
    const auto found = page.samples.find(sample);
    return found == page.samples.end() ? "absent" : found->second;
}

}  // namespace

class MetricsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(MetricsTest);
    CPPUNIT_TEST(instruments_count);
    CPPUNIT_TEST(the_same_name_and_labels_give_the_same_object);
    CPPUNIT_TEST(many_threads_lose_nothing);
    CPPUNIT_TEST(an_owner_is_withdrawn_as_one);
    CPPUNIT_TEST(owners_cannot_take_each_others_metrics);
    CPPUNIT_TEST(malformed_names_and_labels_are_refused);
    CPPUNIT_TEST(the_texts_are_exactly_so);
    CPPUNIT_TEST(texts_are_escaped);
    CPPUNIT_TEST(collectors_are_asked_and_may_fail);
    CPPUNIT_TEST(contradicting_samples_are_left_out);
    CPPUNIT_TEST(the_format_follows_the_accept_header);
    CPPUNIT_TEST(process_families);
    CPPUNIT_TEST(routes_are_counted);
    CPPUNIT_TEST(routes_survive_odd_statuses);
    CPPUNIT_TEST(promtool_agrees);
    CPPUNIT_TEST_SUITE_END();

    Registry registry_;

    void instruments_count() {
        MetricsOwner owner(registry_);
        larder::Counter& commits = owner.counter("larder_kv_commits_total", "Commits.");
        commits.add();
        commits.add(41);
        owner.gauge("larder_kv_keys", "Keys.", label("bucket", "a")).set(7.5);
        owner.gauge("larder_kv_keys", "Keys.", label("bucket", "b")).set(-1);
        const double bounds[] = {0.1, 1, 10};
        larder::Histogram& sync = owner.histogram("larder_kv_sync_seconds", "Syncs.", bounds);
        for (const double seconds : {0.05, 0.1, 0.5, 100.0, std::nan("")}) sync.observe(seconds);
        const Page page = scrape(registry_);
        CPPUNIT_ASSERT_EQUAL(std::string("42"), value(page, "larder_kv_commits_total"));
        CPPUNIT_ASSERT_EQUAL(std::string("7.5"), value(page, "larder_kv_keys{bucket=\"a\"}"));
        CPPUNIT_ASSERT_EQUAL(std::string("-1.0"), value(page, "larder_kv_keys{bucket=\"b\"}"));
        for (const auto& [le, count] : {std::pair("0.1", "2"), std::pair("1.0", "3"),
                                        std::pair("10.0", "3"), std::pair("+Inf", "4")}) {
            CPPUNIT_ASSERT_EQUAL(
                std::string(count),
                value(page, fmt::format("larder_kv_sync_seconds_bucket{{le=\"{}\"}}", le)));
        }
        CPPUNIT_ASSERT_DOUBLES_EQUAL(100.65, std::stod(value(page, "larder_kv_sync_seconds_sum")),
                                     1e-9);
    }

    void the_same_name_and_labels_give_the_same_object() {
        MetricsOwner owner(registry_);
        CPPUNIT_ASSERT(&owner.counter("a_total", "A.") == &owner.counter("a_total", "A."));
        CPPUNIT_ASSERT(&owner.counter("a_total", "A.") !=
                       &owner.counter("a_total", "A.", label("k", "v")));
        CPPUNIT_ASSERT(&owner.gauge("g", "G.") == &owner.gauge("g", "G."));
        const double bounds[] = {1, 2};
        const double others[] = {1, 3};
        CPPUNIT_ASSERT(&owner.histogram("h", "H.", bounds) == &owner.histogram("h", "H.", bounds));
        CPPUNIT_ASSERT_THROW(owner.histogram("h", "H.", others), Error);
    }

    void many_threads_lose_nothing() {
        MetricsOwner owner(registry_);
        larder::Counter& counter = owner.counter("n_total", "N.");
        const double bounds[] = {0.5};
        larder::Histogram& histogram = owner.histogram("h", "H.", bounds);
        std::vector<std::thread> threads;
        threads.reserve(12);
        for (int t = 0; t < 12; ++t) {  // more than there are shards
            threads.emplace_back([&] {
                for (int i = 0; i < 5000; ++i) {
                    counter.add();
                    histogram.observe(1.0);
                }
            });
        }
        scrape(registry_);  // a page in the midst must be well-formed
        for (std::thread& thread : threads) thread.join();
        const Page page = scrape(registry_);
        CPPUNIT_ASSERT_EQUAL(std::string("60000"), value(page, "n_total"));
        CPPUNIT_ASSERT_EQUAL(std::string("60000"), value(page, "h_count"));
        CPPUNIT_ASSERT_EQUAL(std::string("60000.0"), value(page, "h_sum"));
    }

    void an_owner_is_withdrawn_as_one() {
        MetricsOwner stays(registry_);
        stays.counter("stays_total", "S.");
        {
            MetricsOwner goes(registry_);
            goes.counter("goes_total", "G.");
            goes.collect([](Exposition& page) { page.gauge("gone", "G.", {}, 1); });
            CPPUNIT_ASSERT_EQUAL(std::string("0"), value(scrape(registry_), "goes_total"));
        }
        const Page page = scrape(registry_);
        CPPUNIT_ASSERT_EQUAL(std::string("absent"), value(page, "goes_total"));
        CPPUNIT_ASSERT_EQUAL(std::string("absent"), value(page, "gone"));
        CPPUNIT_ASSERT_EQUAL(std::string("0"), value(page, "stays_total"));
    }

    void owners_cannot_take_each_others_metrics() {
        MetricsOwner one(registry_);
        MetricsOwner two(registry_);
        one.counter("x_total", "X.", label("who", "one"));
        CPPUNIT_ASSERT_THROW(two.counter("x_total", "X.", label("who", "one")), Error);
        two.counter("x_total", "X.", label("who", "two"));
        one.gauge("y", "Y.");
        const double bounds[] = {1};
        CPPUNIT_ASSERT_THROW(two.histogram("y", "Y.", bounds), Error);
    }

    void malformed_names_and_labels_are_refused() {
        MetricsOwner owner(registry_);
        for (const char* const name : {"", "Larder_total", "1_total", "a-b_total", "a b_total",
                                       "a:b_total", "commits", "_total", "ä_total"}) {
            CPPUNIT_ASSERT_THROW_MESSAGE(name, owner.counter(name, "H."), Error);
        }
        for (const char* const name : {"a_total", "a_count", "a_sum", "a_bucket", "a_created"}) {
            CPPUNIT_ASSERT_THROW_MESSAGE(name, owner.gauge(name, "H."), Error);
        }
        CPPUNIT_ASSERT_THROW(owner.gauge("g", ""), Error);
        CPPUNIT_ASSERT_THROW(owner.gauge("g", "\xff"), Error);
        for (const char* const labels :
             {"a", "a=", "a=b", "a=\"b", "a=\"b\",", ",a=\"b\"", "a=\"b\"c=\"d\"", "a=\"\n\"",
              "a=\"\\x\"", "A=\"b\"", "1=\"b\"", "__a=\"b\"", "a=\"b\",a=\"c\"", "a=\"\xff\"",
              "a =\"b\"", "a=\"b\" "}) {
            CPPUNIT_ASSERT_THROW_MESSAGE(labels, owner.gauge("g", "H.", labels), Error);
        }
        const double one[] = {1};
        const double falling[] = {2, 1};
        const double twice[] = {1, 1};
        const double infinite[] = {1, INFINITY};
        CPPUNIT_ASSERT_THROW(owner.histogram("h", "H.", one, "le=\"1\""), Error);
        CPPUNIT_ASSERT_THROW(owner.histogram("h", "H.", falling), Error);
        CPPUNIT_ASSERT_THROW(owner.histogram("h", "H.", twice), Error);
        CPPUNIT_ASSERT_THROW(owner.histogram("h", "H.", infinite), Error);
        owner.gauge("g", "H.", "a=\"\\\\ \\\" \\n\",b=\"\"");
    }

    void the_texts_are_exactly_so() {
        Exposition page;
        page.counter("b_total", "The b.", {}, 3);
        page.gauge("a", "The a.", label("k", "v"), 1e21);
        const double bounds[] = {0.5};
        const std::uint64_t counts[] = {1, 2};
        page.histogram("c_seconds", "The c.", label("k", "v"), bounds, counts, 4.25);
        CPPUNIT_ASSERT_EQUAL(
            std::string("# HELP a The a.\n# TYPE a gauge\na{k=\"v\"} 1e+21\n"
                        "# HELP b_total The b.\n# TYPE b_total counter\nb_total 3\n"
                        "# HELP c_seconds The c.\n# TYPE c_seconds histogram\n"
                        "c_seconds_bucket{k=\"v\",le=\"0.5\"} 1\n"
                        "c_seconds_bucket{k=\"v\",le=\"+Inf\"} 3\n"
                        "c_seconds_sum{k=\"v\"} 4.25\n"
                        "c_seconds_count{k=\"v\"} 3\n"),
            page.text(Format::prometheus));
        const std::string open = page.text(Format::openmetrics);
        CPPUNIT_ASSERT(open.find("# HELP b The b.\n# TYPE b counter\nb_total 3\n") !=
                       std::string::npos);
        CPPUNIT_ASSERT(open.ends_with("c_seconds_count{k=\"v\"} 3\n# EOF\n"));
        read_page(page.text(Format::prometheus));
        read_page(open, Format::openmetrics);
        CPPUNIT_ASSERT_EQUAL(std::string("# EOF\n"), Exposition().text(Format::openmetrics));
    }

    void texts_are_escaped() {
        Exposition page;
        page.gauge("g", "a \\ \"b\"\nc", label("k", "\\ \" \n ä }"), 0);
        const std::string plain = page.text(Format::prometheus);
        CPPUNIT_ASSERT(plain.find("# HELP g a \\\\ \"b\"\\nc\n") != std::string::npos);
        CPPUNIT_ASSERT(plain.find("g{k=\"\\\\ \\\" \\n ä }\"} 0.0\n") != std::string::npos);
        const std::string open = page.text(Format::openmetrics);
        CPPUNIT_ASSERT(open.find("# HELP g a \\\\ \\\"b\\\"\\nc\n") != std::string::npos);
        read_page(plain);
        read_page(open, Format::openmetrics);
    }

    void collectors_are_asked_and_may_fail() {
        MetricsOwner owner(registry_);
        double jars = 1;
        owner.collect([&jars](Exposition& page) { page.gauge("jars", "J.", {}, jars); });
        owner.collect([](Exposition& page) {
            page.gauge("before", "B.", {}, 1);
            throw std::runtime_error("no");
        });
        CPPUNIT_ASSERT_EQUAL(std::string("1.0"), value(scrape(registry_), "jars"));
        jars = 2;
        const Page page = scrape(registry_);
        CPPUNIT_ASSERT_EQUAL(std::string("2.0"), value(page, "jars"));
        CPPUNIT_ASSERT_EQUAL(std::string("2"),
                             value(page, "larder_metrics_collector_errors_total"));
    }

    void contradicting_samples_are_left_out() {
        MetricsOwner owner(registry_);
        owner.gauge("g", "G.").set(1);
        owner.collect([](Exposition& page) {
            page.gauge("g", "G.", {}, 2);
            const double bounds[] = {1};
            const std::uint64_t counts[] = {0, 0};
            page.histogram("g", "G.", label("k", "v"), bounds, counts, 0);
        });
        const Page page = scrape(registry_);
        CPPUNIT_ASSERT_EQUAL(std::string("1.0"), value(page, "g"));
        CPPUNIT_ASSERT_EQUAL(std::string("2.0"), value(page, "larder_metrics_refused_samples"));
    }

    void the_format_follows_the_accept_header() {
        const std::string prometheus =
            "application/openmetrics-text;version=1.0.0;q=0.5,application/"
            "openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (const std::string& accept :
             {std::string("application/openmetrics-text"), prometheus,
              std::string("text/plain;q=0.5, application/openmetrics-text")}) {
            CPPUNIT_ASSERT_MESSAGE(accept, format_for(accept) == Format::openmetrics);
        }
        for (const char* const accept :
             {"", "*/*", "text/plain", "application/openmetrics-text;q=0", "application/json", ",;",
              "text/plain, application/openmetrics-text;q=0.9"}) {
            CPPUNIT_ASSERT_MESSAGE(accept, format_for(accept) == Format::prometheus);
        }
        CPPUNIT_ASSERT(content_type(Format::prometheus).find("version=0.0.4") != std::string::npos);
    }

    void process_families() {
        MetricsOwner owner(registry_);
        owner.collect(collect_process);
        const Page page = scrape(registry_);
        CPPUNIT_ASSERT(std::stod(value(page, "process_resident_memory_bytes")) > 1e6);
        CPPUNIT_ASSERT(std::stod(value(page, "process_open_fds")) >= 3);
        CPPUNIT_ASSERT(std::stod(value(page, "process_threads")) >= 1);
        const double started = std::stod(value(page, "process_start_time_seconds"));
        const auto now = static_cast<double>(std::time(nullptr));
        CPPUNIT_ASSERT(started <= now + 2 && started > now - 86400);
        CPPUNIT_ASSERT_EQUAL(std::string("0"),
                             value(page, "larder_metrics_collector_errors_total"));
    }

    void routes_are_counted() {
        HttpMetrics http(2);
        MetricsOwner owner(registry_);
        owner.collect([&http](Exposition& page) { http.collect(page); });
        RouteSeries& get = http.series("/api/kv/{bucket}/{key}", "GET");
        CPPUNIT_ASSERT(&get == &http.series("/api/kv/{bucket}/{key}", "GET"));
        http.series("/never", "GET");
        using std::chrono::microseconds;
        http.record(get, 0, 200, microseconds(500), 0, 100);
        http.record(get, 1, 200, microseconds(501), 10, 100);
        http.record(get, 1, 404, std::chrono::seconds(11), 5, 7);
        http.record(get, 2, 200, microseconds(1), 1, 1);  // no such reactor
        const Page page = scrape(registry_);
        const std::string labels = "route=\"/api/kv/{bucket}/{key}\",method=\"GET\"";
        const auto of = [&](const std::string& name, const std::string& more = "") {
            return value(page, fmt::format("larder_http_{}{{{}{}}}", name, labels, more));
        };
        CPPUNIT_ASSERT_EQUAL(std::string("2"), of("requests_total", ",status=\"200\""));
        CPPUNIT_ASSERT_EQUAL(std::string("1"), of("requests_total", ",status=\"404\""));
        CPPUNIT_ASSERT_EQUAL(std::string("1"),
                             of("request_duration_seconds_bucket", ",le=\"0.0005\""));
        CPPUNIT_ASSERT_EQUAL(std::string("2"),
                             of("request_duration_seconds_bucket", ",le=\"0.001\""));
        CPPUNIT_ASSERT_EQUAL(std::string("2"),
                             of("request_duration_seconds_bucket", ",le=\"10.0\""));
        CPPUNIT_ASSERT_EQUAL(std::string("3"), of("request_duration_seconds_count"));
        CPPUNIT_ASSERT_EQUAL(std::string("15"), of("request_bytes_total"));
        CPPUNIT_ASSERT_EQUAL(std::string("207"), of("response_bytes_total"));
        for (const auto& [sample, ignored] : page.samples) {
            CPPUNIT_ASSERT(sample.find("/never") == std::string::npos);
        }
    }

    void routes_survive_odd_statuses() {
        HttpMetrics http(1);
        RouteSeries& series = http.series("/x", "PUT");
        for (int status = 0; status < 700; ++status) {
            http.record(series, 0, status, std::chrono::nanoseconds(-5), 0, 0);
        }
        Exposition exposition;
        http.collect(exposition);
        const Page page = read_page(exposition.text(Format::prometheus));
        std::uint64_t sum = 0;
        for (const auto& [sample, count] : page.samples) {
            if (sample.starts_with("larder_http_requests_total")) sum += std::stoul(count);
        }
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{700}, sum);
        const std::string labels = "route=\"/x\",method=\"PUT\",status=";
        // 0 to 99 and 600 to 699 are no statuses; fourteen more have slots, the rest is "other"
        CPPUNIT_ASSERT_EQUAL(std::string("200"),
                             value(page, "larder_http_requests_total{" + labels + "\"0\"}"));
        CPPUNIT_ASSERT_EQUAL(std::string("486"),
                             value(page, "larder_http_requests_total{" + labels + "\"other\"}"));
    }

    // Skipped, saying so, where Prometheus's own checker is not installed.
    void promtool_agrees() {
        if (std::system("command -v promtool >/dev/null 2>&1") != 0) {  // NOLINT(cert-env33-c)
            std::puts("SKIP: promtool is not installed (Debian: prometheus)");
            return;
        }
        HttpMetrics http(1);
        MetricsOwner owner(registry_);
        owner.collect([&http](Exposition& page) { http.collect(page); });
        owner.collect(collect_process);
        owner.counter("larder_kv_commits_total", "Commits \\ \"quoted\".",
                      label("b", "\\ \" \n ä"));
        http.record(http.series("/a", "GET"), 0, 200, std::chrono::milliseconds(3), 1, 2);
        const larder::test::TemporaryFolder scratch;
        larder::test::write_file(scratch / "page", registry_.text(Format::prometheus));
        const std::string command =
            fmt::format("promtool check metrics <{0}/page >{0}/said 2>&1", scratch.path());
        const int code = std::system(command.c_str());  // NOLINT(cert-env33-c): a path we made
        CPPUNIT_ASSERT_EQUAL_MESSAGE(larder::test::read_file(scratch / "said"), 0, code);
    }
};

LARDER_TEST_SUITE(MetricsTest);
