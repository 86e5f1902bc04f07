import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;

/** What generator and reader share: where the broker is, and how it stamps records. */
final class Broker {
  private Broker() {}

  static Properties with(Map<String, String> settings) {
    Properties all = new Properties();
    all.put("bootstrap.servers", System.getenv("BOOTSTRAP"));
    all.putAll(settings);
    return all;
  }

  /** The broker's clock stamps each record when it is appended, whatever its producer said. */
  static void create(String topic, int partitions) throws Exception {
    NewTopic wanted = new NewTopic(topic, partitions, (short) 1);
    wanted.configs(Map.of("message.timestamp.type", "LogAppendTime"));
    try (Admin admin = Admin.create(with(Map.of()))) {
      admin.createTopics(Set.of(wanted)).all().get();
    }
  }

  static void delete(List<String> topics) throws Exception {
    try (Admin admin = Admin.create(with(Map.of()))) {
      admin.deleteTopics(topics).all().get();
    }
  }
}
