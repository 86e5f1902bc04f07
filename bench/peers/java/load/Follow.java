import java.io.PrintStream;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Reads a topic of results as they are committed, until it is ended: prints a line for each record,
 * when it was appended, when it came here, its key and its value, and `ready` once it has asked for
 * the first time. Judges nothing.
 */
public final class Follow {
  public static void main(String[] args) {
    var settings = Broker.with(Map.of("isolation.level", "read_committed",
        "auto.offset.reset", "earliest", "fetch.max.wait.ms", "500"));
    StringDeserializer text = new StringDeserializer();
    PrintStream out = new PrintStream(System.out, false);
    try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings, text, text)) {
      List<TopicPartition> all = consumer.partitionsFor(args[0]).stream()
          .map(each -> new TopicPartition(args[0], each.partition())).toList();
      consumer.assign(all);
      StringBuilder lines = new StringBuilder();
      boolean isReady = false;
      while (!out.checkError()) {
        var records = consumer.poll(Duration.ofMillis(100));
        long nowMs = System.currentTimeMillis();
        for (ConsumerRecord<String, String> each : records) {
          lines.append(each.timestamp()).append(' ').append(nowMs).append(' ')
              .append(each.key()).append(' ').append(each.value()).append('\n');
        }
        if (!isReady) lines.append("ready\n");
        isReady = true;
        if (lines.length() > 0) {
          out.print(lines);
          out.flush();
          lines.setLength(0);
        }
      }
    }
  }
}
