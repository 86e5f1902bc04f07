// Kafka's own tool-box: gives a partition to another of its brokers, as an operator does who evens
// out a cluster: first in its list of replicas, then leader by a preferred election.

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;

public class MoveLeader {
  public static void main(String[] args) throws Exception {
    var config = new Properties();
    config.put("bootstrap.servers", args[0]);
    var at = new TopicPartition(args[1], Integer.parseInt(args[2]));
    var broker = Integer.valueOf(args[3]);
    try (var admin = Admin.create(config)) {
      var topics = admin.describeTopics(List.of(at.topic())).allTopicNames().get();
      var now = topics.get(at.topic()).partitions().get(at.partition());
      var replicas = new ArrayList<>(now.replicas().stream().map(Node::id).toList());
      replicas.remove(broker);
      replicas.add(0, broker);
      var wanted = Optional.of(new NewPartitionReassignment(replicas));
      admin.alterPartitionReassignments(Map.of(at, wanted)).all().get();
      while (!admin.listPartitionReassignments(Set.of(at)).reassignments().get().isEmpty()) {
        Thread.sleep(20);
      }
      admin.electLeaders(ElectionType.PREFERRED, Set.of(at)).all().get();
    }
  }
}
