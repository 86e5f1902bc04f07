// Kafka's own consumer: prints all records of topics that a reader of committed records sees, those
// of a partition in order, a line each: topic, partition, offset, the partition that Kafka's producer
// would choose, key, value; hex, or "-".

import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class CommittedReader {
  public static void main(String[] args) {
    var config = new Properties();
    config.put("bootstrap.servers", args[0]);
    config.put("isolation.level", "read_committed");
    config.put("auto.offset.reset", "earliest");
    var bytes = new ByteArrayDeserializer();
    try (var consumer = new KafkaConsumer<>(config, bytes, bytes)) {
      for (var topic : Arrays.asList(args).subList(1, args.length)) printAll(consumer, topic);
    }
  }

  private static void printAll(KafkaConsumer<byte[], byte[]> consumer, String topic) {
    var partitions = consumer.partitionsFor(topic).stream()
        .map(info -> new TopicPartition(info.topic(), info.partition()))
        .toList();
    consumer.assign(partitions);
    consumer.seekToBeginning(partitions);
    var ends = consumer.endOffsets(partitions);
    while (partitions.stream().anyMatch(at -> consumer.position(at) < ends.get(at))) {
      for (var record : consumer.poll(Duration.ofMillis(200))) print(record, partitions.size());
    }
  }

  private static void print(ConsumerRecord<byte[], byte[]> record, int partitions) {
    var key = record.key();
    var chosen = key == null ? -1 : BuiltInPartitioner.partitionForKey(key, partitions);
    var place = record.topic() + " " + record.partition() + " " + record.offset();
    System.out.println(place + " " + chosen + " " + hex(key) + " " + hex(record.value()));
  }

  private static String hex(byte[] bytes) {
    return bytes == null ? "-" : "x" + HexFormat.of().formatHex(bytes);
  }
}
