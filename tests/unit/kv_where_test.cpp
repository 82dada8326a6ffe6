// The filter of lists: how a condition is split, and what each operator makes of each type.
#include "kv_where.hpp"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "larder/error.hpp"
#include "support/suite.hpp"

namespace {

using larder::kv::Where;

bool matches(std::string_view value, const std::vector<std::string_view>& conditions) {
    return Where::parse(conditions).matches(value);
}

class KvWhereTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(KvWhereTest);
    CPPUNIT_TEST(operators);
    CPPUNIT_TEST(numbers_are_exact);
    CPPUNIT_TEST(strings_by_code_points);
    CPPUNIT_TEST(other_types_are_equal_or_not);
    CPPUNIT_TEST(missing_and_other_types_are_false);
    CPPUNIT_TEST(several_mean_and);
    CPPUNIT_TEST(split_at_the_first_operator);
    CPPUNIT_TEST(what_is_refused);
    CPPUNIT_TEST_SUITE_END();

public:
    void operators() {
        const auto true_ones = [](std::string_view value) {
            std::string found;
            for (const char* op : {"=", "!=", "<", "<=", ">", ">="}) {
                const std::string condition = fmt::format("/a{}5", op);
                if (matches(value, {condition})) found += fmt::format("{} ", op);
            }
            return found;
        };
        CPPUNIT_ASSERT_EQUAL(std::string("!= < <= "), true_ones(R"({"a":4.99})"));
        CPPUNIT_ASSERT_EQUAL(std::string("= <= >= "), true_ones(R"({"a":5})"));
        CPPUNIT_ASSERT_EQUAL(std::string("= <= >= "), true_ones(R"({"a":0.5e1})"));
        CPPUNIT_ASSERT_EQUAL(std::string("!= > >= "), true_ones(R"({"a":40})"));
        CPPUNIT_ASSERT_EQUAL(std::string(), true_ones(R"({"a":"5"})"));
        CPPUNIT_ASSERT_EQUAL(std::string(), true_ones(R"({"b":5})"));
        CPPUNIT_ASSERT_EQUAL(std::string(), true_ones(R"({"a":null})"));
    }

    void numbers_are_exact() {
        CPPUNIT_ASSERT(matches("9007199254740993", {">9007199254740992"}));
        CPPUNIT_ASSERT(!matches("9007199254740993", {"=9007199254740992"}));
        CPPUNIT_ASSERT(matches("1e400", {"<1e401"}));
        CPPUNIT_ASSERT(matches("0.1", {"=0.1000"}));
    }

    void strings_by_code_points() {
        CPPUNIT_ASSERT(matches(R"("apple")", {"<\"b\""}));
        CPPUNIT_ASSERT(matches(R"("\u0061")", {"=\"a\""}));
        CPPUNIT_ASSERT(matches(R"("\uff61")", {R"(<"\ud834\udd1e")"}));
        CPPUNIT_ASSERT(!matches(R"("b")", {"<=\"a\""}));
    }

    void other_types_are_equal_or_not() {
        CPPUNIT_ASSERT(matches(R"({"a":[1,{"b":2}]})", {R"(/a=[1.0,{"b":2}])"}));
        CPPUNIT_ASSERT(matches(R"({"a":{"x":1,"y":2}})", {R"(/a={"y":2,"x":1})"}));
        CPPUNIT_ASSERT(matches(R"({"a":[1]})", {"/a!=[2]"}));
        CPPUNIT_ASSERT(matches(R"({"a":true})", {"/a=true"}));
        CPPUNIT_ASSERT(matches(R"({"a":true})", {"/a!=false"}));
        CPPUNIT_ASSERT(matches(R"({"a":null})", {"/a=null"}));
        CPPUNIT_ASSERT(!matches(R"({"a":null})", {"/a!=null"}));
        for (const char* op : {"<", "<=", ">", ">="}) {
            for (const char* json : {"true", "null", "[1]", "{}"}) {
                const std::string condition = fmt::format("{}{}", op, json);
                CPPUNIT_ASSERT_MESSAGE(condition, !matches(json, {condition}));
            }
        }
    }

    void missing_and_other_types_are_false() {
        CPPUNIT_ASSERT(!matches(R"({"a":1})", {"/b!=1"}));
        CPPUNIT_ASSERT(!matches(R"({"a":1})", {"/a!=\"1\""}));
        CPPUNIT_ASSERT(!matches(R"({"a":1})", {"/a!=null"}));
        CPPUNIT_ASSERT(!matches(R"({"a":false})", {"/a=0"}));
        CPPUNIT_ASSERT(!matches(R"([1,2])", {"/2=3"}));
        CPPUNIT_ASSERT(!matches(R"("text")", {"/a=1"}));
    }

    void several_mean_and() {
        CPPUNIT_ASSERT(matches("7", {}));
        CPPUNIT_ASSERT(matches(R"({"a":1,"b":"x"})", {"/a>=1", "/b=\"x\"", "/a<2"}));
        CPPUNIT_ASSERT(!matches(R"({"a":1,"b":"x"})", {"/a>=1", "/b=\"y\""}));
        CPPUNIT_ASSERT(!matches(R"({"a":1,"b":"x"})", {"/a>1", "/b=\"x\""}));
    }

    void split_at_the_first_operator() {
        CPPUNIT_ASSERT(matches(R"({"a":"x=y<z"})", {R"(/a="x=y<z")"}));
        CPPUNIT_ASSERT(matches(R"({"a!b":1})", {"/a!b=1"}));
        CPPUNIT_ASSERT(matches(R"({"a!":1})", {"/a!!=2"}));
        CPPUNIT_ASSERT(matches(R"({"a/b":{"m~n":1}})", {"/a~1b/m~0n=1"}));
        CPPUNIT_ASSERT(matches(R"({"a":1})", {"/a= 1 "}));
        CPPUNIT_ASSERT(matches("5", {"=5"}));
    }

    void what_is_refused() {
        for (const char* condition :
             {"", "/a", "a=1", "/a=", "/a==1", "/a=>1", "/a<>1", "/a=b", "/a=1 2", "/a=\"x", "/~=1",
              "/a!1", "/a!=", "/a<\xFF", "/a={\"b\":1,\"b\":1}", "\xFF=1"}) {
            try {
                matches("1", {"/a=1", condition});
                CPPUNIT_FAIL(fmt::format("{} was taken", condition));
            } catch (const larder::Error& error) {
                CPPUNIT_ASSERT(error.code() == larder::Errc::bad_request);
                CPPUNIT_ASSERT_EQUAL(std::string("invalid-parameter"), error.slug());
                CPPUNIT_ASSERT_EQUAL(std::string("\"where\""), error.members().at(0).second);
            }
        }
    }
};

LARDER_TEST_SUITE(KvWhereTest);

}  // namespace
