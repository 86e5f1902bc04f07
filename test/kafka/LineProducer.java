// Kafka's own producer, idempotent: writes a record for each line of its input (partition, key and
// value, with tabs between), waits while brokers are away, and ends well when all of them have it.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

public class LineProducer {
  public static void main(String[] args) throws Exception {
    var config = new Properties();
    config.put("bootstrap.servers", args[0]);
    config.put("acks", "all");
    config.put("enable.idempotence", "true");
    config.put("linger.ms", "5");
    config.put("request.timeout.ms", "3000");
    config.put("delivery.timeout.ms", "120000");
    config.put("max.block.ms", "120000");
    var text = new StringSerializer();
    var failure = new AtomicReference<Exception>();
    var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    try (var producer = new KafkaProducer<>(config, text, text)) {
      for (String line; (line = lines.readLine()) != null; ) {
        var parts = line.split("\t", 3);
        var record =
            new ProducerRecord<>(args[1], Integer.parseInt(parts[0]), parts[1], parts[2]);
        producer.send(record, (sent, error) -> failure.compareAndSet(null, error));
      }
    }
    if (failure.get() != null) throw failure.get();
  }
}
