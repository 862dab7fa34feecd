// The watch on Sentinels that are scripts: what it asks, whom it names, what it tells.
#include "redis/sentinel.h"

#include <gtest/gtest.h>

#include <map>

#include "resp/reply.h"

namespace stayd {
namespace {

struct Wire {
  TransportEvents* events = nullptr;
  std::string sent;
  int dials = 0;
};

class FakeTransport final : public Transport {
 public:
  explicit FakeTransport(Wire& wire) : wire_(wire) {}
  void write(std::string_view bytes) override { wire_.sent += bytes; }
  std::size_t unsent_bytes() const override { return 0; }
  void close(bool) override {}

 private:
  Wire& wire_;
};

struct FakeDialer final : Dialer {
  std::unique_ptr<Transport> dial(const Endpoint& to, std::int64_t, TransportEvents& e) override {
    Wire& wire = wires[to.text()];
    wire.events = &e;
    ++wire.dials;
    return std::make_unique<FakeTransport>(wire);
  }
  std::map<std::string, Wire> wires;
};

class SentinelTest : public ::testing::Test, public SentinelEvents, public EventSink {
 protected:
  SentinelTest() {
    watch.start(now);
    tick();
  }
  SentinelOptions options() {
    SentinelOptions out;
    out.sentinels = {{"s1", 26379, ""}, {"s2", 26379, ""}};
    out.primary_name = "main";
    credentials.offer("secret");
    out.link.credentials = &credentials;
    return out;
  }
  void tick(std::int64_t ms = 5) {
    now.mono_us += ms * 1000;
    watch.on_tick(now);
  }
  Wire& wire(const std::string& name) { return dialer.wires.at(name + ":26379"); }
  void feed(const std::string& name, const std::string& bytes) {
    wire(name).events->on_bytes(bytes);
  }
  void connect(const std::string& name) {
    wire(name).events->on_connected();
    wire(name).sent.clear();
    feed(name, "%1\r\n$4\r\nmode\r\n$8\r\nsentinel\r\n");
  }
  // All four answers.
  void answer(const std::string& name, const std::string& primary, int epoch,
              const std::string& in_master = "", const std::string& other = "") {
    std::string out;
    write_bulk(out, "id-" + name);
    write_map(out, 2);
    write_bulk(out, "ip");
    write_bulk(out, in_master.empty() ? primary : in_master);
    write_bulk(out, "config-epoch");
    write_bulk(out, std::to_string(epoch));
    write_array(out, 2);
    write_bulk(out, primary);
    write_bulk(out, "6379");
    write_array(out, other.empty() ? 0 : 1);
    if (!other.empty()) {
      write_map(out, 3);
      for (const auto& word : {"ip", other.c_str(), "port", "26379", "runid"}) {
        write_bulk(out, word);
      }
      write_bulk(out, "id-" + other);
    }
    feed(name, out);
  }
  bool asked(const std::string& name) {
    return std::exchange(wire(name).sent, "").find("GET-MASTER-ADDR-BY-NAME") != std::string::npos;
  }

  void on_primary(const Endpoint& primary) override { named += primary.host + " "; }
  void on_event(const Event& event) override { told += std::string(event.name) + " "; }

  FakeDialer dialer;
  Counters counters;
  Random random{1};
  Now now{1'000'000, 0};
  std::string named, told;
  Credentials credentials{"", *this, counters};
  SentinelWatch watch{options(), dialer, *this, *this, counters, random};
};

TEST_F(SentinelTest, AsksAndListensOnceConnected) {
  wire("s1").events->on_connected();
  EXPECT_NE(wire("s1").sent.find("AUTH"), std::string::npos);
  EXPECT_EQ(wire("s1").sent.find("INFO"), std::string::npos);
  connect("s1");
  EXPECT_NE(wire("s1").sent.find("+switch-master"), std::string::npos);
  EXPECT_NE(wire("s1").sent.find("MYID"), std::string::npos);
  EXPECT_TRUE(asked("s1"));
  EXPECT_EQ(counters.connects, 0U);
}

TEST_F(SentinelTest, NamesThePrimaryOfMostAndThenTheNextOne) {
  connect("s1");
  connect("s2");
  answer("s1", "a", 1);
  EXPECT_EQ(named, "");
  answer("s2", "a", 1);
  EXPECT_EQ(named, "a ");
  watch.doubt(false);
  tick(1'000);
  answer("s1", "b", 2);
  EXPECT_EQ(named, "a b ");
  EXPECT_EQ(told, "primary_named primary_named ");
  EXPECT_EQ(counters.primary_switches, 1U);
  EXPECT_EQ(watch.status().config_epoch, 2U);
}

// The Sentinel that leads a failover has the new epoch while SENTINEL MASTER still has the address
// of before: taken together they named the old primary, at an epoch that nobody could outvote.
TEST_F(SentinelTest, TheLeaderOfAFailoverNamesTheNewAddress) {
  connect("s1");
  connect("s2");
  answer("s1", "a", 1);
  answer("s2", "a", 1);
  tick(1'000);
  answer("s1", "b", 2, "a");
  EXPECT_EQ(named, "a b ");
}

TEST_F(SentinelTest, AsksEachSecondAndOftenWhileInDoubt) {
  connect("s1");
  answer("s1", "a", 1);
  watch.doubt(false);
  tick(300);
  asked("s1");
  answer("s1", "a", 1);
  tick(300);
  EXPECT_FALSE(asked("s1"));
  watch.doubt(true);
  tick();
  EXPECT_TRUE(asked("s1"));
  answer("s1", "a", 1);
  tick(260);
  EXPECT_TRUE(asked("s1"));
}

TEST_F(SentinelTest, ASwitchThatIsPublishedIsAskedFor) {
  connect("s1");
  answer("s1", "a", 1);
  watch.doubt(false);
  tick(300);
  answer("s1", "a", 1);
  asked("s1");
  feed("s1", ">3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$1\r\nx\r\n");
  tick();
  EXPECT_TRUE(asked("s1"));
}

TEST_F(SentinelTest, AHintBesideAnAnswerOnItsWayIsNotLost) {
  connect("s1");
  wire("s1").sent.clear();
  feed("s1", ">3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$1\r\nx\r\n");
  EXPECT_FALSE(asked("s1"));
  answer("s1", "a", 1);
  EXPECT_TRUE(asked("s1"));
}

TEST_F(SentinelTest, LearnsOtherSentinels) {
  connect("s1");
  answer("s1", "a", 1, "", "s3");
  tick();
  EXPECT_EQ(wire("s3").dials, 1);
  EXPECT_EQ(watch.status().known, 3U);
  tick(250);
  answer("s1", "a", 1, "", "s3");
  EXPECT_EQ(watch.status().known, 3U);
}

TEST_F(SentinelTest, ALearntSentinelThatIsGoneIsNotDialledForEver) {
  connect("s1");
  connect("s2");
  answer("s1", "a", 1, "", "s3");
  answer("s2", "a", 1);
  tick();
  wire("s3").events->on_closed(CloseReason::refused, "refused");
  for (int quarter = 0; quarter < 250; ++quarter) {
    tick(250);
    answer("s1", "a", 1);
    answer("s2", "a", 1);
  }
  EXPECT_EQ(watch.status().known, 2U);
  EXPECT_EQ(watch.status().answering, 2U);
}

// Its error is a reply more than was asked for, and ends the connection.
TEST_F(SentinelTest, ARefusedSubscriptionIsTold) {
  connect("s1");
  feed("s1", "-NOPERM no right to a channel\r\n");
  answer("s1", "a", 1);
  tick(2'100);
  ASSERT_TRUE(watch.status().lost);
  EXPECT_EQ(watch.status().trouble, "s1:26379: NOPERM no right to a channel");
}

// Its connection ended between the two answers that make one.
TEST_F(SentinelTest, AnEpochOfTheConnectionBeforeIsNotUsed) {
  connect("s1");
  feed("s1", "$1\r\n1\r\n%1\r\n$12\r\nconfig-epoch\r\n$1\r\n9\r\n");
  wire("s1").events->on_closed(CloseReason::eof, "");
  tick(1'500);
  connect("s1");
  feed("s1", "$1\r\n1\r\n-ERR busy\r\n*2\r\n$1\r\na\r\n$4\r\n6379\r\n*0\r\n");
  EXPECT_EQ(watch.status().answering, 0U);
}

TEST_F(SentinelTest, ASilentSentinelIsDialledAnew) {
  connect("s1");
  tick(600);
  tick(1'000);
  EXPECT_EQ(wire("s1").dials, 2);
}

TEST_F(SentinelTest, TellsThatNoneNamesAPrimaryAndThatOneDoesAgain) {
  connect("s1");
  answer("s1", "a", 1);
  tick(500);
  EXPECT_EQ(named, "a ");
  connect("s2");
  wire("s1").events->on_closed(CloseReason::eof, "");
  feed("s2", "$1\r\n2\r\n-ERR No such master with that name\r\n");
  feed("s2", "*-1\r\n-ERR No such master with that name\r\n");
  tick(4'400);
  tick(1'500);
  EXPECT_FALSE(watch.status().lost);
  tick(1'000);
  EXPECT_TRUE(watch.status().lost);
  EXPECT_NE(watch.status().trouble.find("s"), std::string::npos);
  EXPECT_EQ(watch.status().primary, "a:6379");
  tick(1'000);
  connect("s1");
  answer("s1", "a", 1);
  tick();
  EXPECT_EQ(told, "primary_named sentinels_lost sentinels_back ");
  EXPECT_EQ(named, "a ");
}

}  // namespace
}  // namespace stayd
