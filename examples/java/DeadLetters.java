import org.eclipse.paho.mqttv5.client.*;
import org.eclipse.paho.mqttv5.common.*;

/** Takes the dead letters of its namespace, says what became of each, and sends it once more to
 * its old topic. They wait while nobody takes them, and several workers share them. */
class DeadLetters extends Callback {
	static MqttAsyncClient client;

	@Override public void connectComplete(boolean again, String uri) {
		try {
			client.subscribe("$dead/#", 1);
		} catch (MqttException lost) {
			System.err.println(lost); // and connected again
		}
	}

	@Override public void messageArrived(String name, MqttMessage letter) throws Exception {
		var topic = name.substring("$dead/".length());
		boolean last = property(letter, "sent-again") != null;
		System.out.printf("%s: %s in %s, %s%n", topic, property(letter, "sqmqos-dead-reason"),
			property(letter, "sqmqos-dead-queue"), last ? "given up" : "sent again");
		if (last) {
			client.messageArrivedComplete(letter.getId(), letter.getQos());
			return;
		}
		// By a key of its own: it is stored once, also if we die now and the letter comes again.
		var message = message(letter.toString(), 2, "sent-again", "yes",
			"sqmqos-key", property(letter, "sqmqos-key") + " again");
		client.publish(topic, message, null, new MqttActionListener() {
			/** The letter is acknowledged when the message is stored. */
			@Override public void onSuccess(IMqttToken sent) {
				try {
					client.messageArrivedComplete(letter.getId(), letter.getQos());
				} catch (MqttException lost) {
					System.err.println(lost); // the letter comes again
				}
			}

			@Override public void onFailure(IMqttToken sent, Throwable why) {
				System.err.println(topic + ": " + why); // the letter comes again
				System.exit(1);
			}
		});
	}

	public static void main(String[] args) throws Exception {
		client = new MqttAsyncClient("tcp://localhost:1883", "dead-letters", null);
		client.setManualAcks(true);
		client.setCallback(new DeadLetters());
		client.connect(options(0)).waitForCompletion();
	}
}
